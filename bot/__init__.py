"""The Telegram bot: alerts out, commands in."""
