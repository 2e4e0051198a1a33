"""Paths made of columns: what a row gives, and by which values of the last column the row is found again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.crm.mapping.path_template import read_template
from tests.builders import NIGHT

TEXTS = st.text(alphabet="ab/.%_{é", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("written", "row", "path"),
    [
        ("path", {"path": "a/b"}, "a/b"),
        ("{folder}/{name}", {"folder": "x", "name": "y.wav"}, "x/y.wav"),
        ("upload/{coalesce(source, id)}", {"source": None, "id": 7}, "upload/7"),
        ("upload/{coalesce(source,id)}", {"source": "s", "id": 7}, "upload/s"),
        ("{key[0:2]}/{key[2:4]}/{key}", {"key": "abcdef"}, "ab/cd/abcdef"),
        ("{url[1:]}", {"url": "/private/x"}, "private/x"),
        ("{day:%Y/%m/%d}/{file}", {"day": NIGHT, "file": "f"}, "2026/11/20/f"),
        ("{folder}/{name}", {"folder": "x", "name": None}, None),
        ("{folder}/{name}", {"folder": "", "name": "y"}, None),
    ],
)
def test_a_row_gives_its_path_or_names_no_file(written, row, path):
    assert read_template(written).path(row) == path


@pytest.mark.parametrize("written", ["", "a{b", "{}", 7, None])
def test_what_is_no_path_is_refused(written):
    with pytest.raises(ValueError, match="expected a"):
        read_template(written)


@given(TEXTS, TEXTS, st.sampled_from(["{a}/{b}", "x/{b}", "{b}", "x{b}", "{a}{b}", "{b}.wav", "{a}/{coalesce(c,b)}"]))
def test_the_last_column_of_every_row_that_gives_a_path_is_among_its_endings(one, two, written):
    template, row = read_template(written), {"a": one, "b": two, "c": None}
    path = template.path(row)
    assert path is not None
    assert two in template.endings(path)
