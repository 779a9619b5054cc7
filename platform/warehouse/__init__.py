"""ClickHouse: the record of every event, and what is asked of it. Nothing that trades waits for it."""
