"""The public file of real bank calls (UCI Machine Learning Repository, dataset 222), read line by line and strictly."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lifecycle.errors import InputError

_HEADER = (
    "age",
    "job",
    "marital",
    "education",
    "default",
    "balance",
    "housing",
    "loan",
    "contact",
    "day",
    "month",
    "duration",
    "campaign",
    "pdays",
    "previous",
    "poutcome",
    "y",
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
JOBS = (
    "admin.",
    "blue-collar",
    "entrepreneur",
    "housemaid",
    "management",
    "retired",
    "self-employed",
    "services",
    "student",
    "technician",
    "unemployed",
    "unknown",
)
_FIRST_YEAR = 2008


@dataclass(frozen=True, slots=True)
class BankCall:
    """One line of the file: its number among the calls (from 1), and what the file says of the call, with the year."""

    number: int
    day: date
    job: str
    contact: str
    seconds: int
    balance: int
    campaign: int
    previous: int
    subscribed: bool

    @property
    def id(self) -> str:
        return f"bank-{self.number:05d}"


def read_bank_file(path: Path) -> Iterator[BankCall]:
    """The calls of the file, one at a time. InputError begins with `file:line:`."""
    line = 1
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, delimiter=";", strict=True)
            if tuple(next(reader, ())) != _HEADER:
                raise ValueError(f"expected the header {';'.join(_HEADER)}")
            day, line = date(_FIRST_YEAR, 1, 1), 2
            for number, row in enumerate(reader, 1):
                call = _read(number, row, day)
                yield call
                day, line = call.day, reader.line_num + 1
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Nothing was loaded.") from error
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}:{line}: {error}. Nothing was loaded; mend the file and import it again.") from error


def _read(number: int, row: list[str], before: date) -> BankCall:
    """One row as a call on or after the day `before`. ValueError says what was expected."""
    if len(row) != len(_HEADER):
        raise ValueError(f"expected {len(_HEADER)} fields, found {len(row)}")
    field = dict(zip(_HEADER, row, strict=True))
    job, contact, outcome = (
        _one_of(field, name, known)
        for name, known in (("job", JOBS), ("contact", ("cellular", "telephone", "unknown")), ("y", ("yes", "no")))
    )
    month = _MONTHS.index(_one_of(field, "month", _MONTHS)) + 1
    day = date(before.year + (before.month - month >= 5), month, _whole(field, "day", 1, 31))
    if day < before:
        raise ValueError(f"expected the rows in the order of time, found {day} after {before}")
    return BankCall(
        number,
        day,
        job,
        contact,
        _whole(field, "duration", 0, 10 * 3600),
        _whole(field, "balance", -(10**9), 10**9),
        _whole(field, "campaign", 1, 10**6),
        _whole(field, "previous", 0, 10**6),
        outcome == "yes",
    )


def _one_of(field: dict[str, str], name: str, known: tuple[str, ...]) -> str:
    if field[name] not in known:
        raise ValueError(f"expected `{name}` to be one of {', '.join(known)}, found {field[name]!r}")
    return field[name]


def _whole(field: dict[str, str], name: str, low: int, high: int) -> int:
    try:
        number = int(field[name])
    except ValueError:
        raise ValueError(f"expected `{name}` to be a whole number, found {field[name]!r}") from None
    if not low <= number <= high:
        raise ValueError(f"expected `{name}` between {low} and {high}, found {number}")
    return number
