"""Many accounts from one CSV file: all of it is made, or nothing. The dry run is the same work, taken back.

The file holds private keys. It is read in memory, sealed row by row and gone: it is never stored, and no error repeats
what stood under a secret's name.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.db import transaction

from accounts.models import Account
from accounts.registration import register_account
from identity.models import AuditEntry, User
from trading.enums import Platform, SignerKind
from trading.errors import InvalidValue

REQUIRED = ("name", "private_key")
OPTIONAL = (
    "platform", "signer_kind", "address", "api_key", "proxy_url", "tags", "notes", "max_order", "max_position",
    "max_notional_per_day",
)  # fmt: skip
LIMITS = ("max_order", "max_position", "max_notional_per_day")
MOST_BYTES = 1_000_000
MOST_ROWS = 1_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Line:
    """What became of one line of the file. `error` is empty when it is right."""

    number: int
    name: str
    address: str = ""
    error: str = ""


@dataclass(frozen=True)
class Imported:
    """What became of the file. `made` accounts exist now; zero after a dry run or any error."""

    lines: tuple[Line, ...]
    made: int

    @property
    def errors(self) -> list[Line]:
        return [line for line in self.lines if line.error]


def read_rows(data: bytes) -> list[tuple[int, dict[str, str]]]:
    """(line number, fields) of every row. Raises InvalidValue that says what to change in the file."""
    if len(data) > MOST_BYTES:
        raise InvalidValue(f"the file is larger than {MOST_BYTES // 1000} kB: split it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidValue("the file is not UTF-8: save it as CSV UTF-8") from None
    if "\x00" in text:
        raise InvalidValue("the file holds a zero byte: save it as CSV UTF-8")
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        rows = list(numbered(reader))
    except csv.Error as error:
        raise InvalidValue(f"line {reader.line_num} is not CSV: {error}") from None
    if not rows:
        raise InvalidValue("the file is empty: its first line names the columns")
    header = [name.strip().lower().replace(" ", "_") for name in rows[0][1]]
    check_header(header)
    if len(rows) == 1:
        raise InvalidValue("the file names columns and no account: add a line for each")
    if len(rows) > MOST_ROWS + 1:
        raise InvalidValue(f"the file has more than {MOST_ROWS} accounts: split it")
    found = []
    for number, values in rows[1:]:
        if len(values) > len(header):
            raise InvalidValue(
                f"line {number} has {len(values)} values for {len(header)} columns: put quotes around commas"
            )
        found.append((number, dict(zip(header, [*values, *[""] * (len(header) - len(values))], strict=True))))
    return found


def numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with the number of the line it ends on."""
    for row in reader:
        values = [value.strip() for value in row]
        if any(values):
            yield getattr(reader, "line_num", 0), values


def check_header(header: list[str]) -> None:
    """Raises InvalidValue for columns missing, unknown or named twice.."""
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise InvalidValue(f"the first line must name the columns; missing: {', '.join(missing)}")
    known = {*REQUIRED, *OPTIONAL}
    unknown = [index for index, name in enumerate(header, start=1) if name not in known]
    if unknown:
        places = ", ".join(map(str, unknown))
        raise InvalidValue(f"column {places} has a name that is not known: use {', '.join((*REQUIRED, *OPTIONAL))}")
    if len(set(header)) < len(header):
        raise InvalidValue("a column is named twice")


def import_accounts(data: bytes, by: User, *, dry_run: bool, progress: Progress | None = None) -> Imported:
    """Make every account of the file in one transaction, or none and say what is wrong with each line.

    Raises InvalidValue for a file that cannot be read at all, VaultError without a vault.
    """
    rows = read_rows(data)
    lines: list[Line] = []
    with transaction.atomic():
        for done, (number, fields) in enumerate(rows, start=1):
            lines.append(make_one(number, fields, by))
            if progress is not None:
                progress(done, len(rows))
        failed = any(line.error for line in lines)
        if dry_run or failed:
            transaction.set_rollback(True)
    return Imported(tuple(lines), 0 if dry_run or failed else len(lines))


def make_one(number: int, fields: dict[str, str], by: User) -> Line:
    """Make one account inside the caller's transaction; a refused one leaves nothing behind."""
    name = fields["name"][:64]
    try:
        with transaction.atomic():
            account = register_one(fields, by)
    except InvalidValue as error:
        return Line(number, name, error=str(error))
    return Line(number, account.name, account.address)


def register_one(fields: dict[str, str], by: User) -> Account:
    """Register the account of one line. Raises InvalidValue."""
    kind = fields.get("signer_kind") or SignerKind.EOA.value
    if kind not in set(SignerKind):
        raise InvalidValue(f"signer_kind must be one of {', '.join(SignerKind)}")
    platform = (fields.get("platform") or Platform.PREDICT.value).lower()
    if platform not in set(Platform):
        # Not repeated: in a file whose columns are shifted, a key may stand here.
        raise InvalidValue(f"platform must be one of {', '.join(Platform)}")
    return register_account(
        name=fields["name"],
        platform=platform,
        private_key=fields["private_key"],
        address=fields.get("address", ""),
        signer_kind=kind,
        tags=fields.get("tags", "").replace(";", ",").split(","),
        notes=fields.get("notes", ""),
        api_key=fields.get("api_key", ""),
        proxy_url=fields.get("proxy_url", ""),
        by=by,
        source=AuditEntry.Source.PAGE.value,
        **{limit: read_limit(limit, fields.get(limit, "")) for limit in LIMITS},
    )


def read_limit(name: str, given: str) -> Decimal | None:
    """The limit, exactly; None for none."""
    if not given:
        return None
    try:
        return Decimal(given)
    except InvalidOperation:
        raise InvalidValue(f"{name} must be a number like 250 or 0.5") from None
