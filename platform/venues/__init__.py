"""Venue adapters: wire to events, commands to wire; they store nothing and do not know each other."""
