"""Tables of archived calls as files that other people open: CSV, XLSX, Parquet. Nothing of them is interpreted.

Every value of CSV and XLSX is text, so that +49… and leading zeros survive; what a spreadsheet would take for a formula
begins with an apostrophe in CSV, and is a cell of type text in XLSX.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from lifecycle.archive.parquet import table_file
from lifecycle.errors import InputError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
MOST_ROWS, LONGEST_CELL = 1_048_575, 32_767  # of a sheet without its head, and of a cell
_SHEET_NAME = 31


def write_csv(tables: Mapping[str, pa.Table], folder: Path) -> None:
    """A file a table, in UTF-8 with a byte order mark, without which Excel reads another encoding."""
    for name, table in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as file:
            out = csv.writer(file, quoting=csv.QUOTE_ALL)
            out.writerow(table.column_names)
            for row in _rows(table):
                out.writerow([_safe(cell) for cell in row])


def write_xlsx(tables: Mapping[str, pa.Table], folder: Path) -> None:
    """One workbook, a sheet a table. Raises InputError where a sheet cannot hold it: CSV and Parquet can."""
    book = openpyxl.Workbook(write_only=True)
    for name, table in tables.items():
        if table.num_rows > MOST_ROWS:
            raise InputError(f"{name}: expected at most {MOST_ROWS} rows for a sheet, found {table.num_rows}. Use CSV")
        sheet = book.create_sheet(name[:_SHEET_NAME])
        sheet.append(table.column_names)
        for row in _rows(table):
            sheet.append([_text_cell(sheet, name, value) for value in row])
    book.save(folder / "calls.xlsx")


def write_parquet(tables: Mapping[str, pa.Table], folder: Path) -> None:
    """A file a table, with the types of the archive."""
    for name, table in tables.items():
        table_file(folder / f"{name}.parquet", table)


FORMATS: Mapping[str, Callable[[Mapping[str, pa.Table], Path], None]] = {
    "csv": write_csv,
    "xlsx": write_xlsx,
    "parquet": write_parquet,
}


def _rows(table: pa.Table) -> Iterator[list[str | None]]:
    for batch in table.to_batches(max_chunksize=5_000):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield [_text(value) for value in row]


def _text(value: Any) -> str | None:
    """A value as people and programs read it again: times in ISO 8601, bytes in hex."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _safe(cell: str | None) -> str:
    """Text that no spreadsheet calculates. NULL is an empty cell, as an empty text is."""
    return f"'{cell}" if cell and cell.startswith(_FORMULA) else cell or ""


def _text_cell(sheet: Any, table: str, value: str | None) -> Any:
    if value is None:
        return None
    if len(value) > LONGEST_CELL:
        raise InputError(f"{table}: expected at most {LONGEST_CELL} letters for a cell, found {len(value)}. Use CSV")
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("\ufffd", value))
    cell.data_type = "s"  # also of `=…`, which openpyxl would make a formula
    cell.number_format = "@"
    return cell
