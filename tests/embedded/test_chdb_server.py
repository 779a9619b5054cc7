"""The ClickHouse server process, as the real clickhouse-connect client meets it."""

import concurrent.futures
import io
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import clickhouse_connect
import lz4.frame
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from embedded.chdb_insert import parse_insert
from embedded.chdb_request import BadRequest, decompress
from embedded.engines import EngineUrls

pytestmark = pytest.mark.engines

ONE = Decimal("0.123456789012345678")


def rows(count: int, start: int = 0) -> list[list[object]]:
    return [[number, f"row {number}", ONE] for number in range(start, start + count)]


def connect(urls: EngineUrls, **options: object) -> Client:
    return clickhouse_connect.get_client(dsn=urls.clickhouse_url, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", False])
def test_every_block_of_an_insert_is_stored(engine_urls: EngineUrls, clickhouse: Client, compression: str) -> None:
    """The trap: one compressed frame per block of 65,536 rows; reading one frame lost the others with a 200."""
    client = connect(engine_urls, compress=compression)
    summary = client.insert("ticks", rows(200_000), column_names=["id", "name", "price"])
    assert summary.written_rows == 200_000
    counted = client.query("SELECT count(), uniqExact(id), min(price), max(price) FROM ticks").result_rows
    assert counted == [(200_000, 200_000, ONE, ONE)]


def test_frames_follow_frames_at_any_cut() -> None:
    body = b"".join(lz4.frame.compress(block) for block in (b"one", b"two" * 1000, b"three"))
    for size in (1, 7, 64, len(body)):
        pieces = iter([body[at : at + size] for at in range(0, len(body), size)])
        assert b"".join(decompress(pieces, "lz4")) == b"one" + b"two" * 1000 + b"three"


def test_a_frame_cut_short_is_refused() -> None:
    body = lz4.frame.compress(b"x" * 1000)
    with pytest.raises(BadRequest):
        list(decompress(iter([body + body[:-5]]), "lz4"))


def test_a_cut_insert_stores_nothing(engine_urls: EngineUrls, clickhouse: Client) -> None:
    good = lz4.frame.compress(b"INSERT INTO ticks FORMAT CSV\n" + b"".join(b"%d,a,1\n" % n for n in range(1000)))
    more = lz4.frame.compress(b"1000,b,1\n" * 1000)
    assert post(engine_urls, good + more[:-9], {"Content-Encoding": "lz4"}) == 400
    assert clickhouse.command("SELECT count() FROM ticks") == 0


def test_bad_rows_late_in_an_insert_store_nothing(clickhouse: Client) -> None:
    body = "".join(f"{number},a,1\n" for number in range(150_000)) + "oops,a,1\n"
    with pytest.raises(DatabaseError) as refused:
        clickhouse.raw_insert("ticks", insert_block=body, fmt="CSV")
    assert refused.value.code == 27
    assert clickhouse.command("SELECT count() FROM ticks") == 0


def test_values_the_client_cannot_serialize_store_nothing(clickhouse: Client) -> None:
    with pytest.raises(Exception):  # noqa: B017 - the client's own error, of whatever kind
        clickhouse.insert("ticks", [*rows(10), ["no number", "x", ONE]], column_names=["id", "name", "price"])
    assert clickhouse.command("SELECT count() FROM ticks") == 0


def test_insert_forms_of_the_client(clickhouse: Client) -> None:
    clickhouse.raw_insert("ticks", ["id", "name", "price"], b"1\ta\t0.5\n", fmt="TabSeparated")
    clickhouse.raw_insert(
        "ticks", ["id", "name", "price"], lz4.frame.compress(b"2,b,0.5\n"), fmt="CSV", compression="lz4"
    )
    clickhouse.raw_insert(
        "ticks", insert_block=io.BytesIO(b'{"id": 3, "name": "c\\n", "price": 0.5}\n'), fmt="JSONEachRow"
    )
    clickhouse.command("INSERT INTO ticks VALUES (4, 'd;', 0.5), (5, 'FORMAT CSV', 0.5)")
    clickhouse.command("INSERT INTO ticks (id, name) SELECT number, 'FORMAT Native' FROM numbers(6, 2)")
    clickhouse.command("INSERT INTO ticks FORMAT CSV", data="8,h,0.5\n9,i,0.5\n")
    found = clickhouse.query("SELECT id, name FROM ticks ORDER BY id").result_rows
    assert found == [(1, "a"), (2, "b"), (3, "c\n"), (4, "d;"), (5, "FORMAT CSV"), (6, "FORMAT Native"),
                     (7, "FORMAT Native"), (8, "h"), (9, "i")]  # fmt: skip


STATEMENT_ENDS: list[tuple[bytes, bytes, str | None]] = [
    (b"INSERT INTO t ", b"FORMAT Native\n", "Native"),
    (b"insert into db.t (a, `FORMAT`) SETTINGS async_insert=1 ", b"format CSV\r\n", "CSV"),
    (b"/* FORMAT CSV */ INSERT INTO t -- FORMAT TSV\n ", b"FORMAT RowBinary\n", "RowBinary"),
    (b"INSERT INTO FUNCTION url('FORMAT CSV') ", b"FORMAT TSV ", "TSV"),
    (b"INSERT INTO t ", b"FORMAT Values ", None),
    (b"INSERT INTO t VALUES ('FORMAT CSV')", b"", None),
    (b"INSERT INTO t SELECT 1 ", b"FORMAT CSV", None),
    (b"SELECT 1 ", b"FORMAT CSV", None),
    (b"", b"", None),
]


@pytest.mark.parametrize(("statement", "clause", "name"), STATEMENT_ENDS)
def test_where_an_insert_ends(statement: bytes, clause: bytes, name: str | None) -> None:
    found = parse_insert(statement + clause + b"\n\x00 data")
    if name is None:
        assert found is None
    else:
        assert found is not None
        assert (found.statement.encode(), found.format) == (statement, name)
        assert found.data_from >= len(statement + clause)
        assert (statement + clause + b"\n\x00 data")[found.data_from :].endswith(b"\x00 data")


def test_async_insert_is_accepted_and_done_at_once(clickhouse: Client) -> None:
    settings = {"async_insert": 1, "wait_for_async_insert": 1}
    clickhouse.insert("ticks", rows(10), column_names=["id", "name", "price"], settings=settings)
    assert clickhouse.command("SELECT count() FROM ticks") == 10


def test_parameters_reach_every_type(clickhouse: Client) -> None:
    when = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
    given = {"text": "it's\ta \\ \n'; DROP TABLE ticks", "number": 7, "price": ONE, "when": when, "many": [1, 2]}
    result = clickhouse.query(
        "SELECT {text:String}, {number:Int64}, {price:Decimal(38, 18)}, {when:DateTime('UTC')}, {many:Array(UInt8)}",
        given,
    )
    assert result.result_rows == [(given["text"], 7, ONE, when.replace(tzinfo=None), [1, 2])]


def test_many_parameters_go_as_a_form(clickhouse: Client) -> None:
    wanted = list(range(5_000))
    clickhouse.insert("ticks", rows(6_000), column_names=["id", "name", "price"])
    found = clickhouse.query("SELECT count() FROM ticks WHERE id IN {wanted:Array(UInt64)}", {"wanted": wanted})
    assert found.result_rows == [(5_000,)]


def test_external_tables_last_for_one_query(clickhouse: Client) -> None:
    data = ExternalData(file_name="wanted.csv", data=b"1,x\n2,y\n", fmt="CSV", structure=["id UInt64", "tag String"])
    assert clickhouse.query("SELECT id, tag FROM wanted ORDER BY id", external_data=data).result_rows == [
        (1, "x"),
        (2, "y"),
    ]
    with pytest.raises(DatabaseError):
        clickhouse.query("SELECT * FROM wanted")


def test_settings_end_with_their_request(clickhouse: Client) -> None:
    ask = "SELECT getSetting('max_threads')"
    before = clickhouse.command(ask)
    assert clickhouse.command(ask, settings={"max_threads": 3}) == 3
    assert clickhouse.command(ask) == before


def test_set_statement_lasts_for_the_session(engine_urls: EngineUrls) -> None:
    one, other = connect(engine_urls), connect(engine_urls)
    one.command("SET max_threads = 5", settings={"max_threads": 3})
    one.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    assert one.command("SELECT getSetting('max_threads')") == 5
    assert other.command("SELECT getSetting('max_threads')") != 5
    assert one.query("SELECT * FROM mine").result_rows == []
    with pytest.raises(DatabaseError):
        other.query("SELECT * FROM mine")


def test_unknown_setting_is_refused_with_its_code(clickhouse: Client) -> None:
    with pytest.raises(DatabaseError) as refused:
        clickhouse.query("SELECT 1", settings={"no_such_setting": 1})
    assert refused.value.code == 115
    assert clickhouse.query("SELECT 1").result_rows == [(1,)]


def test_errors_carry_clickhouse_codes(clickhouse: Client) -> None:
    for sql, code in (
        ("SELECT * FROM nowhere", 60),
        ("SELECT nothing", 47),
        ("SELEC 1", 62),
        ("SELECT intDiv(1, 0)", 153),
    ):
        with pytest.raises(DatabaseError) as refused:
            clickhouse.query(sql)
        assert refused.value.code == code, sql


def test_wrong_password_is_refused(engine_urls: EngineUrls) -> None:
    address = engine_urls.clickhouse_url.rpartition("@")[2]
    for login in ("hedgerow:wrong", "hedgerow:", "default:"):
        with pytest.raises(DatabaseError) as refused:
            clickhouse_connect.get_client(dsn=f"http://{login}@{address}")
        assert refused.value.code == 516
    with urllib.request.urlopen(f"http://{address.partition('/')[0]}/ping") as answer:
        assert answer.read() == b"Ok.\n"


def test_stream_is_read_block_by_block(clickhouse: Client) -> None:
    with clickhouse.query_row_block_stream("SELECT number FROM numbers(500000)") as stream:
        sizes = [len(block) for block in stream]
    assert sum(sizes) == 500_000
    assert len(sizes) > 3


def test_error_in_the_middle_of_a_stream_is_raised(clickhouse: Client) -> None:
    sql = "SELECT number, throwIf(number = 400000, 'too far') FROM numbers(500000) SETTINGS max_block_size = 10000"
    with pytest.raises((StreamFailureError, DatabaseError)) as failed, clickhouse.query_row_block_stream(sql) as stream:
        for _ in stream:
            pass
    assert "too far" in str(failed.value)
    assert clickhouse.query("SELECT 1").result_rows == [(1,)]


def test_stream_that_is_left_early_frees_the_session(clickhouse: Client) -> None:
    with clickhouse.query_row_block_stream("SELECT number FROM numbers(50000000)") as stream:
        next(iter(stream))
    deadline = time.monotonic() + 10
    while True:
        try:
            assert clickhouse.query("SELECT 1").result_rows == [(1,)]
            break
        except DatabaseError as error:
            if error.code != 373 or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_empty_results_keep_their_columns_out_of_the_way(clickhouse: Client) -> None:
    assert clickhouse.query("SELECT id, name FROM ticks").result_rows == []
    assert clickhouse.query("SELECT id, name FROM ticks LIMIT 0").column_names == ("id", "name")
    assert [row["name"] for row in clickhouse.query("DESCRIBE TABLE ticks").named_results()] == ["id", "name", "price"]


def test_one_session_is_used_once_at_a_time(engine_urls: EngineUrls) -> None:
    one, other = (connect(engine_urls, session_id="the-same") for _ in range(2))
    slow = threading.Thread(target=lambda: one.command("SELECT sleep(1)"))
    slow.start()
    time.sleep(0.3)
    with pytest.raises(DatabaseError) as refused:
        other.command("SELECT 1")
    assert refused.value.code == 373
    slow.join()
    assert other.command("SELECT 1") == 1


def test_many_clients_work_at_the_same_time(engine_urls: EngineUrls, clickhouse: Client) -> None:
    def work(worker: int) -> None:
        client = connect(engine_urls)
        for turn in range(5):
            client.insert("ticks", rows(100, worker * 1000 + turn * 100), column_names=["id", "name", "price"])
        client.close()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert clickhouse.query("SELECT count(), uniqExact(id) FROM ticks").result_rows == [(4000, 4000)]


async def test_asynchronous_client_works_too(engine_urls: EngineUrls, clickhouse: Client) -> None:
    client = await clickhouse_connect.get_async_client(dsn=engine_urls.clickhouse_url)
    await client.insert("ticks", rows(70_000), column_names=["id", "name", "price"])
    assert (await client.query("SELECT count() FROM ticks")).result_rows == [(70_000,)]
    await client.close()


def test_large_answers_arrive_whole(clickhouse: Client) -> None:
    result = clickhouse.query("SELECT number, repeat('x', 100) FROM numbers(300000)")
    assert len(result.result_rows) == 300_000
    assert result.result_rows[-1] == (299_999, "x" * 100)


def test_users_cannot_be_made(clickhouse: Client) -> None:
    with pytest.raises(DatabaseError):
        clickhouse.command("CREATE USER somebody")


def test_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    login = tmp_path / "login.json"
    login.write_text('{"user": "u", "password": "p"}')
    code = "from embedded.chdb_session import Sessions; from pathlib import Path; s = Sessions(Path('data'), 'd'); print('up', flush=True); input()"  # noqa: E501
    first = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout is not None
    assert first.stdin is not None
    assert first.stdout.readline() == b"up\n"
    command = [sys.executable, "-m", "embedded.chdb_server", "--port=1", "--path=data", f"--login={login}"]
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "is another server using them" in second.stderr
    first.communicate(b"\n")


def test_product_processes_never_import_chdb() -> None:
    """A process that has imported it cannot fork: the child hangs."""
    code = "import sys, embedded.system, embedded.engines, clickhouse_connect; print([m for m in sys.modules if m.startswith('chdb')])"  # noqa: E501
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_server_that_is_gone_is_an_operational_error(engine_urls: EngineUrls) -> None:
    with pytest.raises(OperationalError):
        clickhouse_connect.get_client(dsn="http://hedgerow:x@127.0.0.1:9/hedgerow")


def post(urls: EngineUrls, body: bytes, headers: dict[str, str]) -> int:
    login, _, address = urls.clickhouse_url.removeprefix("http://").partition("@")
    user, _, password = login.partition(":")
    identity = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    request = urllib.request.Request(f"http://{address.partition('/')[0]}/", body, {**headers, **identity})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
