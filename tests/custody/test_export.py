"""Export: opened again by pandas and pyarrow, equal to what plain pyarrow reads of the archive, and on record."""

import csv
import hashlib
import shutil
import subprocess
from datetime import datetime

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lifecycle.custody.export import ExportOrder, ExportResult, export_calls
from lifecycle.errors import InputError
from lifecycle.night.seal import seal_ledger
from tests.builders import BANK_DAY, DUE_BANK, World, archived_around, committed, run_night

ODD = ["=1+1", "+49 30 123", "-5", "@x", "007", "0049", "\ttab", 'quote " and, comma', "line\nbreak", "山😀", ""]


@pytest.fixture
def purged(sqlite_world) -> World:
    """Purged calls whose subjects a spreadsheet would like to calculate, with children and a recording."""
    bank = sqlite_world.account("Banking")
    for number, subject in enumerate(ODD):
        sqlite_world.call(f"id-{number:02}", bank, BANK_DAY, phone="+442079460001")
        sqlite_world.execute("UPDATE calls SET subject = :it WHERE id = :id", it=subject, id=f"id-{number:02}")
    sqlite_world.note("id-00", file=b"\x00\xff")
    sqlite_world.recorded("id-01", "2021/b.wav", b"RIFF")
    run_night(sqlite_world.lifecycle())
    assert sqlite_world.live() == set()
    return sqlite_world


def exported(world: World, to, form="csv", recordings=False, calls=None) -> ExportResult:
    order = ExportOrder("clerk", "court order", ("phone",), form, recordings)
    wanted = calls or [f"id-{number:02}" for number in range(len(ODD))]
    return export_calls(world.lifecycle(), wanted, to, order)


def subjects(world: World) -> list[str]:
    found = {
        r["id"]: r["subject"] for _, tables in committed(world.lifecycle().store) for r in tables["calls"].to_pylist()
    }
    return [found[key] for key in sorted(found)]


def test_csv_is_what_the_archive_has_and_no_cell_is_a_formula(purged, tmp_path):
    result = exported(purged, tmp_path / "out")
    assert (result.calls, result.left_out) == (len(ODD), {})
    frame = pd.read_csv(tmp_path / "out/calls.csv", dtype=str, keep_default_na=False).sort_values("id")
    plain = [text.removeprefix("'") if text[:1] == "'" else text for text in frame["subject"]]
    assert plain == subjects(purged) == ODD
    assert not [cell for cell in frame.to_numpy().ravel() if cell[:1] in tuple("=+-@\t\r") and cell[:1]]
    with (tmp_path / "out/notes.csv").open(encoding="utf-8-sig") as file:
        (note,) = csv.DictReader(file)
    assert note["body"] == "about id-00 山"


def test_xlsx_has_text_cells_alone(purged, tmp_path):
    exported(purged, tmp_path / "out.xlsx", "xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx")["calls"]
    assert {cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row} <= {
        "s",
        "inlineStr",
        "n",
    }  # n: an empty cell
    assert not [cell for row in sheet.iter_rows(min_row=2) for cell in row if cell.data_type == "n" and cell.value]
    frame = pd.read_excel(tmp_path / "out.xlsx", sheet_name="calls", dtype=str, keep_default_na=False).sort_values("id")
    assert list(frame["subject"]) == ODD
    assert set(frame["phone"]) == {"+442079460001"}
    assert "note_files" in pd.ExcelFile(tmp_path / "out.xlsx").sheet_names


@pytest.mark.slow
def test_libreoffice_reads_every_text_as_it_was_and_calculates_nothing(purged, tmp_path):
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed (Debian: libreoffice-calc): its reading was not tried")
    exported(purged, tmp_path / "out.xlsx", "xlsx")
    exported(purged, tmp_path / "out")
    every_sheet = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,true,false,false,-1"
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    for kind, name in ((every_sheet, "out.xlsx"), ("xlsx", "out/calls.csv")):
        command = [office, profile, "--headless", "--convert-to", kind, "--outdir", str(tmp_path / "read")]
        subprocess.run([*command, str(tmp_path / name)], check=True, capture_output=True, timeout=300)
    with (tmp_path / "read/out-calls.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["id"])
    assert [row["subject"] for row in rows] == ODD
    assert {row["phone"] for row in rows} == {"+442079460001"}
    sheet = openpyxl.load_workbook(tmp_path / "read/calls.xlsx").active
    assert [cell.value for row in sheet.iter_rows() for cell in row if cell.data_type == "f"] == []
    assert sheet.max_row == len(ODD) + 1


def test_parquet_is_the_archives_rows_with_their_types(purged, tmp_path):
    exported(purged, tmp_path / "out", "parquet")
    rows = pq.read_table(tmp_path / "out/calls.parquet").to_pylist()
    archive = [r for _, tables in committed(purged.lifecycle().store) for r in tables["calls"].to_pylist()]
    mine = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
    assert sorted(mine, key=repr) == sorted(
        ({k: v for k, v in row.items() if not k.startswith("_")} for row in archive), key=repr
    )
    assert pq.read_table(tmp_path / "out/note_files.parquet")["content"].to_pylist() == [b"\x00\xff"]


def test_recordings_lie_beside_under_their_paths(purged, tmp_path):
    result = exported(purged, tmp_path / "out", recordings=True)
    assert result.files == 1
    assert (tmp_path / "out/recordings/2021/b.wav").read_bytes() == b"RIFF"


def test_it_is_on_record_with_the_digest_that_sha256sum_makes_and_without_what_was_asked(purged, tmp_path):
    result = exported(purged, tmp_path / "out")
    seal_ledger(purged.lifecycle())
    (leaf,) = [leaf for leaf in purged.leaves() if leaf["kind"] == "exported"]
    assert (leaf["by"], leaf["reason"], leaf["asked"], leaf["calls"]) == ("clerk", "court order", ["phone"], len(ODD))
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(tmp_path / 'out').as_posix()}\n"
        for path in sorted((tmp_path / "out").rglob("*"))
        if path.is_file()
    ]
    assert leaf["digest"] == result.digest == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_place_that_is_taken_or_a_call_without_a_copy_writes_nothing(purged, tmp_path):
    with pytest.raises(InputError, match="a name that is free"):
        exported(purged, tmp_path)
    with pytest.raises(InputError, match="Nothing was written"):
        exported(purged, tmp_path / "out", calls=["id-nowhere"])
    assert not (tmp_path / "out").exists()
    assert exported(purged, tmp_path / "out", calls=["id-00", "id-nowhere"]).left_out == {
        "id-nowhere": "no copy of it is in the archive"
    }


def test_what_cannot_be_noted_is_not_exported(purged, tmp_path, monkeypatch):
    def refuse(*_):
        raise RuntimeError("the ledger's queue is gone")

    monkeypatch.setattr("lifecycle.custody.export._note", refuse)
    with pytest.raises(RuntimeError):
        exported(purged, tmp_path / "out")
    assert list(tmp_path.glob("out*")) == list(tmp_path.glob(".lifecycle-export*")) == []


def test_every_row_of_a_call_is_exported(sqlite_world, tmp_path):
    run_night(sqlite_world.furnish().lifecycle())
    exported(sqlite_world, tmp_path / "out", "parquet", calls=[DUE_BANK[0]])
    batches = committed(sqlite_world.lifecycle().store)
    ((manifest, tables),) = [(m, t) for m, t in batches if DUE_BANK[0] in t["calls"]["_call_id"].to_pylist()]
    wanted = {name: rows for name, rows in archived_around(manifest, tables, DUE_BANK[0]).items() if rows}
    found = {path.stem: pq.read_table(path).to_pylist() for path in (tmp_path / "out").iterdir()}
    plain = {
        n: sorted(({k: v for k, v in r.items() if k[0] != "_"} for r in rows), key=repr) for n, rows in found.items()
    }
    assert plain == wanted
    assert isinstance(found["calls"][0]["started_at"], datetime | str)
