"""A process that sends as fast as its gate lets it, for the stop's tests: `sender_process.py DSN NAME PORT [late]`.

Each send is one datagram-like line over TCP to the test, through aiohttp and the product's own HTTP session, with the
gate's check as the permit. With `late` it checks the gate, then waits for a line on stdin, then sends: what a process
does that was frozen between deciding to send and sending.
"""

import asyncio
import sys

from accounts.gate import Gate
from hedgerow.logs import configure_logging
from trading.errors import RetryLater, UnknownOutcome
from venues.http import HttpSession
from venues.permit import permitted_by


async def main(dsn: str, name: str, port: int, late: bool) -> None:
    gate = Gate(dsn, name)
    await gate.start()
    session = HttpSession()
    number = 0
    if late:
        with gate.pass_through() as check, permitted_by(check):
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            try:
                await session.request("POST", f"http://127.0.0.1:{port}/order", headers={}, body=b"late")
                print("sent", flush=True)
            except RetryLater as refusal:
                print(f"refused {refusal.slug}", flush=True)
        return
    print("ready", flush=True)
    while True:
        try:
            with gate.pass_through() as check, permitted_by(check):
                await session.request("POST", f"http://127.0.0.1:{port}/order", headers={}, body=str(number).encode())
                number += 1
        except (RetryLater, UnknownOutcome):
            await asyncio.sleep(0.001)


configure_logging("WARNING", "console")
asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "late" in sys.argv[4:]))
