"""What a person may say to the bot: one module per subject, each command a function from a request to a reply."""
