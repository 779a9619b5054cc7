"""Account ids as forms send them."""

from uuid import UUID

MOST = 1_000


def read_ids(given: list[str]) -> list[UUID]:
    """The ids among what a form sent."""
    found = []
    for text in given[:MOST]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
