"""The event bus on Redis Streams: publish, read in groups, acknowledge, claim, dead-letter, trim."""
