"""Misbehaving venues and proxies on loopback."""

from collections.abc import AsyncIterator

import pytest

from tests.venues.faulty import FaultyVenue, listening


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyVenue]:
    venue = FaultyVenue()
    async with listening(venue.serve) as port:
        venue.base = f"http://127.0.0.1:{port}"
        yield venue
