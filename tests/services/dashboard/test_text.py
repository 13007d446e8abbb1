"""Text of a log is shown as text, whatever it holds."""

from __future__ import annotations

import re

import pytest

from services.dashboard.text import escaped, label, marked, visible

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "nul \x00 inside",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07 \x08\x08\x08",
    "right-to-left \u202etxt.exe\u202c \u2066hidden\u2069",
    "lone \ud800 surrogate, \ufeff mark, \u200b nothing",
    "**bold** [link](javascript:alert(1)) ![](http://evil/x.png) $x^2$ :smile: :red[x] `code`",
    "\"quoted\", 'single' & more",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_is_shown_is_markup_or_steers(text: str) -> None:
    for shown in (
        escaped(text),
        marked(text, [(2, 5), (7, 9)]).replace("<mark>", "").replace("</mark>", ""),
    ):
        assert not set(shown) & set("<>\"'")
        assert shown.isprintable()
        shown.encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_label_holds_no_markdown(text: str) -> None:
    shown = label(text)
    plain = re.sub(r"\\[!-/:-@\[-`{-~]", "", shown)
    assert not set(plain) & set("*_`[]()<>$#!:~|\\")
    assert ":smile:" not in shown.replace("\\", "")


def test_a_mark_stands_where_it_was_said_beside_what_is_written_out() -> None:
    assert marked("\x00a<b>", [(1, 2)]) == r"\x00<mark>a</mark>&lt;b&gt;"


def test_marks_that_overlap_or_lie_outside_are_left_out() -> None:
    assert marked("abcdef", [(0, 3), (2, 4), (5, 5), (90, 95)]) == "<mark>abc</mark>def"


def test_a_long_text_is_cut_and_says_so() -> None:
    shown = visible("x" * 10_000_000)
    assert len(shown) < 2100
    assert shown.endswith("(9,998,000 more characters)")
    assert marked("x" * 5000, [(1990, 1995)]).count("<mark>") == 1
