"""A process that asks for reads as fast as it can and prints how many it got: `python rate_budget_process.py URL N`."""

import asyncio
import sys

from streams.connection import connect
from trading.enums import Platform
from trading.errors import RetryLater
from venues.priority import Priority
from venues.shared_budget import Budgets


async def main(url: str, asked: int) -> None:
    client = connect(url)
    budget = Budgets(client, patience_s=10).of(Platform.PREDICT, "fake-key-of-the-tests")
    got = 0
    for _ in range(asked):
        try:
            await budget.claim("trading", Priority.READ)
            got += 1
        except RetryLater:
            await asyncio.sleep(0.001)
    await client.aclose()
    print(got)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
