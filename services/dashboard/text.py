"""Text of logs on a page: it may hold markup, Markdown and what steers a terminal, and is only
ever shown."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

SHOWN = 2000
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
WORD_JOINER = "\u2060"


def visible(text: str, most: int = SHOWN) -> str:
    """The text with what cannot be seen written out, and its beginning where it is long.

    >>> visible("a\\x00b \\u202etxt.exe")
    'a\\\\x00b \\\\u202etxt.exe'
    >>> visible("a" * 10, most=4)
    'aaaa… (6 more characters)'
    """
    kept = "".join(_seen(char) for char in text[:most])
    return kept if len(text) <= most else f"{kept}… ({len(text) - most:,} more characters)"


def _seen(char: str) -> str:
    if char in "\n\t" or unicodedata.category(char) not in INVISIBLE:
        return char
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def escaped(text: object, most: int = SHOWN) -> str:
    """For HTML.

    >>> escaped("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    return html.escape(visible(str(text), most))


def marked(text: str, spans: Sequence[tuple[int, int]], most: int = SHOWN) -> str:
    """For HTML, with the spans, start and end within the text, as `mark`.

    >>> marked("took <900> s", [(6, 9)])
    'took &lt;<mark>900</mark>&gt; s'
    """
    parts, at = [], 0
    for start, end in sorted(spans):
        if start < at or end <= start or end > min(len(text), most):
            continue
        parts.append(html.escape(visible(text[at:start], most)))
        parts.append(f"<mark>{html.escape(visible(text[start:end], most))}</mark>")
        at = end
    rest = most - at
    return "".join(parts) + html.escape(visible(text[at:], rest))


def label(text: object, most: int = 200) -> str:
    """For the labels of links and boxes, which Streamlit reads as Markdown.

    A colon is kept from what follows it, as short names of emoji are looked for after escapes.

    >>> label("[a](b) *c*")
    '\\\\[a\\\\]\\\\(b\\\\) \\\\*c\\\\*'
    """
    seen = visible(str(text), most).replace("\n", " ")
    return PUNCTUATION.sub(r"\\\1", seen).replace(":", f":{WORD_JOINER}")
