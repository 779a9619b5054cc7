"""Venue adapters: they translate wire to events and commands to wire, and store nothing. They do not know each other."""
