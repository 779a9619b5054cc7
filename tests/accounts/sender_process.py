"""A process that sends as fast as its gate lets it: `sender_process.py DSN NAME PORT [late | hedge | closing]`.

Each send is one datagram-like line over TCP to the test, through aiohttp and the product's own HTTP session, with the
gate's check as the permit. With `late` it checks the gate, then waits for a line on stdin, then sends: what a process
does that was frozen between deciding to send and sending. The other words name the pass its orders travel on.
"""

import asyncio
import sys

from accounts.gate import Gate
from accounts.levels import CLOSING, HEDGE, OTHER
from hedgerow.logs import configure_logging
from trading.errors import RetryLater, UnknownOutcome
from venues.http import HttpSession
from venues.permit import permitted_by


async def main(dsn: str, name: str, port: int, late: bool, kind: str) -> None:
    gate = Gate(dsn, name)
    await gate.start()
    session = HttpSession()
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
            with gate.pass_through(kind) as check, permitted_by(check):
                await session.request("POST", f"http://127.0.0.1:{port}/order", headers={}, body=kind.encode())
        except (RetryLater, UnknownOutcome):
            await asyncio.sleep(0.001)


configure_logging("WARNING", "console")
modes = sys.argv[4:]
asyncio.run(
    main(
        sys.argv[1],
        sys.argv[2],
        int(sys.argv[3]),
        "late" in modes,
        next((kind for kind in (HEDGE, CLOSING) if kind in modes), OTHER),
    )
)
