"""Which files a row may name as recordings: whoever edits a row must not have any file removed."""

from typing import Any

import pytest
from pydantic import ValidationError

from lifecycle.crm.mapping.source import Files
from lifecycle.crm.reading.file_columns import FileColumns, hosts_named_by_rows
from lifecycle.errors import SourceError
from tests.crm.conftest import read

DIGEST = "0" * 64


def may(path: str, *patterns: str, call: Any = 7, digest: str | None = None) -> bool:
    files = Files(table="recordings", path="path", sha256="sha256", patterns=patterns)
    return FileColumns("recordings", files).may_be_recording(path, call, digest)


@pytest.mark.parametrize(
    ("path", "pattern", "call"),
    [
        ("2026/11/7.wav", "*/*/{call_id}.wav", 7),
        ("7.wav", "{call_id}.wav", 7),
        ("a/b/c/7/left.wav", "**/{call_id}/*.wav", 7),
        ("r/a+b(1).wav", "r/{call_id}.wav", "a+b(1)"),
        ("r/x\ny.wav", "r/{call_id}.wav", "x\ny"),
    ],
)
def test_a_path_that_names_its_call_may_be_a_recording(path, pattern, call):
    assert may(path, pattern, call=call)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("hr/contract.pdf", "*/*/{call_id}.wav"),
        ("2026/11/8.wav", "*/*/{call_id}.wav"),
        ("2026/11/17.wav", "*/*/{call_id}.wav"),
        ("x/2026/11/7.wav", "*/*/{call_id}.wav"),
        ("2026/11/7.wav\n", "*/*/{call_id}.wav"),
        ("2026/11/7xwav", "*/*/{call_id}.wav"),
    ],
)
def test_another_path_may_not_even_with_a_digest(path, pattern):
    assert not may(path, pattern, digest=DIGEST)


def test_a_pattern_without_the_call_asks_for_a_digest():
    assert may("r/shared.wav", "**.wav", digest=DIGEST)
    assert not may("r/shared.wav", "**.wav")
    assert not may("hr/contract.pdf", "**.wav", digest=DIGEST)


@pytest.mark.parametrize("pattern", ["*{call_id}.wav", "{call_id}*.wav", "**{call_id}", "r/**.wav"])
def test_a_pattern_that_is_of_no_call_is_refused(pattern):
    with pytest.raises(ValidationError, match="expected"):
        Files(table="r", path="path", patterns=(pattern,))


def test_patterns_must_be_said():
    with pytest.raises(ValidationError, match="patterns"):
        Files.model_validate({"table": "r", "path": "path", "sha256": "sha256"})


def test_columns_that_only_the_crm_writes_name_files_of_the_folders_that_are_meant_and_no_others():
    files = Files(table="r", path="path", patterns=("private/files/**",), only_crm_writes=True)
    columns = FileColumns("r", files)
    assert columns.may_be_recording("private/files/a/b.mp3", 7, None)
    assert not columns.may_be_recording("private/backups/site.sql.gz", 7, None)
    for anything in ("**", "**/*", "**/**"):
        with pytest.raises(ValidationError, match="expected the folders"):
            Files(table="r", path="path", patterns=(anything,), only_crm_writes=True)


TABLES = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY)",
    "CREATE TABLE r (id INTEGER PRIMARY KEY, t_id INTEGER, url VARCHAR(40))",
)
MAPPED = """files: [{table: r, path: "up/{id}", patterns: ["up/*"], only_crm_writes: true,
  also_named_by: [{table: d, path: "up/{file}", when: {kind: [a]}}, {table: gone, path: x, optional: true}]}]
urls: [{table: r, column: url}]"""


def test_a_file_stays_named_while_a_row_of_another_table_names_it(made):
    made.run(
        *TABLES, "CREATE TABLE d (file INTEGER, kind VARCHAR(9))", "INSERT INTO d VALUES (1, 'a'), (2, 'b'), (3, 'a')"
    )
    crm = made.crm(children="[{table: r, match: {t_id: id}}]", more=MAPPED)
    assert crm.still_named(["up/1", "up/2", "up/3", "up/31", "other/1"]) == {"up/1", "up/3"}


def test_places_with_somebody_else_are_counted_by_host(made):
    made.run(
        *TABLES,
        "INSERT INTO t VALUES (1)",
        "INSERT INTO r VALUES (1, 1, 'https://a.example.com/1'), (2, 1, 'https://a.example.com/1'), "
        "(3, 1, 'https://A.example.com/2?b'), (4, 1, 'ftp://b/'), (5, 1, 'lost.mp3'), (6, 1, NULL), (7, 1, '')",
    )
    crm = made.crm(children="[{table: r, match: {t_id: id}}]", more="urls: [{table: r, column: url}]")
    assert hosts_named_by_rows(read(crm, [1]), crm.source) == {"a.example.com": 2, "b": 1, "no host": 1}


def test_a_url_column_of_no_mapped_table_is_refused(make):
    made = make("sqlite").run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    for column in ("{table: t, column: url}", "{table: r, column: url}"):
        with pytest.raises(SourceError, match="urls: expected a column of a mapped table"):
            made.crm(more=f"urls: [{column}]")
