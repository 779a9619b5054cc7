"""A Telegram Bot API server for one machine: the wire protocol, a chat to type into, faults to switch."""
