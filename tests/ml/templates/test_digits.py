import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.templates import digits
from ml.templates.digits import collapse


@pytest.mark.parametrize(
    ("message", "collapsed"),
    [
        pytest.param("took 1234 ms", "took 0 ms", id="a run of digits is one number"),
        pytest.param("10.0.0.1:80", "0.0.0.0:0", id="marks part numbers"),
        pytest.param("blk_-42 =-1 -7", "blk_0 =0 0", id="a sign belongs to its number"),
        pytest.param("part-7 2-1 é-3", "part-0 0-0 é-0", id="a dash after a letter is no sign"),
        pytest.param("--5 - 5 5-", "-0 - 0 0-", id="one sign is enough"),
        pytest.param("٣", "٣", id="only ASCII digits count"),
    ],
)
def test_numbers_become_zero(message: str, collapsed: str) -> None:
    assert collapse(pl.Series([message])).to_list() == [collapsed]


@given(st.lists(st.text(alphabet="-07xé٣ \n", max_size=8), min_size=1, max_size=20))
def test_every_message_collapses_as_if_it_were_alone(messages: list[str]) -> None:
    expected = [
        re.sub(r"(?:(?<![0-9A-Za-z\x80-\U0010ffff])-)?[0-9]+", "0", each) for each in messages
    ]
    assert collapse(pl.Series(messages)).to_list() == expected


def test_slices_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = pl.Series([f"-{number} x{number}-{number}" for number in range(50)] + [""])
    whole = collapse(messages)
    monkeypatch.setattr(digits, "SLICE_ROWS", 7)
    assert collapse(messages).to_list() == whole.to_list()
