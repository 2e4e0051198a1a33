"""Which files a row may name as recordings: whoever edits a row must not have any file removed."""

from typing import Any

import pytest
from pydantic import ValidationError

from lifecycle.crm.mapping.source import Files
from lifecycle.crm.reading.file_columns import FileColumns

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
