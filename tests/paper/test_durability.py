"""kill -9 at any moment: nothing acknowledged is lost, pending settlements resume, ids stay the same."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from paper import entries
from paper.journal import Journal, JournalError
from tests.paper.desk import WEI, Trader, fake_key, until


class Process:
    """A paper venue in a process of its own, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, options: tuple[str, ...]) -> None:
        self.folder, self.session, self.options = folder, session, options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        command = ["-m", "paper.predict", "--port", str(self.port), "--state-dir", str(self.folder)]
        limits = ["--post-limit", "10000", "--trading-limit", "100000", "--other-limit", "100000"]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *command, *limits, *self.options, stdout=asyncio.subprocess.DEVNULL
        )

        async def healthy() -> bool:
            try:
                async with self.session.get(self.base + "/paper/health") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await until(healthy, seconds=15)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def trader(self, digit: int) -> Trader:
        trader = Trader(self.base, self.session, fake_key(digit))
        await trader.fund(10_000)
        await trader.log_in()
        return trader


@asynccontextmanager
async def run_process(folder: Path, *options: str) -> AsyncIterator[Process]:
    async with aiohttp.ClientSession() as session:
        process = Process(folder, session, options)
        await process.start()
        try:
            yield process
        finally:
            if process.process.returncode is None:
                process.process.terminate()
                await process.process.wait()


async def post_until_dead(trader: Trader, outcome: str, price: str, taken: list[dict[str, Any]]) -> None:
    while True:
        try:
            taken.append(await trader.accepted(9001, "buy", outcome, price, "10"))
        except (aiohttp.ClientError, ConnectionError):
            return


async def test_killed_venue_keeps_all_it_acknowledged(tmp_path: Path) -> None:
    async with run_process(tmp_path, "--settlement-delay-ms", "60", "--taker-every-s", "0.02") as venue:
        one, two = await venue.trader(1), await venue.trader(2)
        taken: list[dict[str, Any]] = []
        posting = [
            asyncio.create_task(post_until_dead(one, "yes", "0.46", taken)),
            asyncio.create_task(post_until_dead(two, "no", "0.54", taken)),
        ]
        await asyncio.sleep(0.6)
        seen = (await one.truth())["matches"]
        await venue.kill()
        await asyncio.gather(*posting)
        assert len(taken) > 20
        assert seen

        await venue.start()
        truths = [await trader.truth() for trader in (one, two)]
        assert truths[0]["conservation"] == []
        kept = {(order["orderId"], order["hash"]) for truth in truths for order in truth["orders"]}
        assert {(order["orderId"], order["orderHash"]) for order in taken} <= kept
        assert {match["settlementId"] for match in seen} <= {m["settlementId"] for m in truths[0]["matches"]}

        async def all_settled() -> bool:
            return all(m["state"] == "settled" for m in (await one.truth())["matches"])

        await until(all_settled)
        status, _ = await one.call("GET", "/v1/account")
        assert status == 200, "the token outlives the restart"


async def test_pending_settlement_resumes_after_kill(tmp_path: Path) -> None:
    async with run_process(tmp_path, "--settlement-delay-ms", "1500", "--traders", "off") as venue:
        one, two = await venue.trader(1), await venue.trader(2)
        await one.accepted(9001, "buy", "yes", "0.46", "10")
        await two.accepted(9001, "buy", "no", "0.54", "10")
        before = (await one.truth())["matches"]
        assert [m["state"] for m in before] == ["pending"]
        await venue.kill()
        await venue.start()

        async def settled() -> bool:
            return bool((await one.truth())["matches"][0]["state"] == "settled")

        await until(settled, seconds=5)
        after = (await one.truth())["matches"][0]
        assert after["settlementId"] == before[0]["settlementId"]
        _, answer = await one.call("GET", "/v1/orders/matches")
        assert [m["settlementId"] for m in answer["data"]] == [after["settlementId"]]
        assert (await one.call("GET", "/v1/positions"))[1]["data"][0]["amount"] == str(10 * WEI)


def test_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path, WEI)
    for number in range(3):
        entry = entries.Grant(1, "a", f"g{number}", 5)
        journal.record(entry)
        journal.exchange.apply(entry)
    journal.close()
    log = tmp_path / "journal.jsonl"
    log.write_bytes(log.read_bytes() + b'[4,["grant",1,"a","g')
    again = Journal(tmp_path, WEI)
    assert (again.replayed, again.exchange.state.accounts["a"].cash) == (3, 15)
    entry = entries.Grant(1, "a", "g4", 5)
    again.record(entry)
    again.close()
    last = Journal(tmp_path, WEI)
    assert last.exchange.state.accounts["a"].cash == 20
    last.close()


def test_missing_entry_stops_the_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path, WEI)
    for number in range(3):
        journal.record(entries.Grant(1, "a", f"g{number}", 5))
    journal.close()
    log = tmp_path / "journal.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + lines[2])
    with pytest.raises(JournalError, match="entry 2 is missing"):
        Journal(tmp_path, WEI)


def test_crash_between_snapshot_and_truncation_doubles_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, WEI)
    for number in range(3):
        entry = entries.Grant(1, "a", f"g{number}", 5)
        journal.record(entry)
        journal.exchange.apply(entry)
    left = (tmp_path / "journal.jsonl").read_bytes()
    journal.compact()
    journal.close()
    (tmp_path / "journal.jsonl").write_bytes(left)
    again = Journal(tmp_path, WEI)
    assert (again.replayed, again.exchange.state.accounts["a"].cash) == (0, 15)
    again.close()


def test_second_venue_on_the_folder_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path, WEI)
    with pytest.raises(JournalError, match="another venue runs"):
        Journal(tmp_path, WEI)
    journal.close()
    Journal(tmp_path, WEI).close()


async def test_taken_port_and_folder_are_said_in_a_sentence(tmp_path: Path) -> None:
    async def complaint(port: int, folder: Path) -> str:
        command = ["-m", "paper.predict", "--port", str(port), "--state-dir", str(folder), "--traders", "off"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        assert process.returncode == 1
        return said.decode()

    async with run_process(tmp_path / "one", "--traders", "off") as venue:
        said = [await complaint(venue.port, tmp_path / "two"), await complaint(0, tmp_path / "one")]
    assert "address already in use" in said[0]
    assert "another venue runs on" in said[1]
    assert not any("Traceback" in text for text in said)
