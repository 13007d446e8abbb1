"""Why a window is odd: its findings as bars of contribution, and lines with the odd ones marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import streamlit as st

from services.dashboard.parts import show
from services.dashboard.text import escaped, label, marked

Finding = Mapping[str, Any]
Span = tuple[int, int]
LEAST_SHARE = 0.005
MOST_SHOWN = 8


def contributions(findings: Sequence[Finding]) -> None:
    """What makes how much of the score, the most first."""
    telling = [each for each in findings if (each["share"] or 0) >= LEAST_SHARE][:MOST_SHOWN]
    if telling:
        show("".join(_bar(each) for each in telling))
    elif findings:
        show("".join(f"<p>{escaped(in_words(each))}</p>" for each in findings[:MOST_SHOWN]))
    else:
        show("<p>The same templates as in normal windows, but rarely in these counts.</p>")


def _bar(finding: Finding) -> str:
    share = f"{finding['share']:.0%}"
    template = template_of(finding) or ""
    return (
        f'<div class="share"><div><strong>{share}</strong> {escaped(in_words(finding))}</div>'
        f'<div class="text">{escaped(template)}</div>'
        f'<div class="track" aria-hidden="true"><div class="fill" style="width:{share}"></div>'
        "</div></div>"
    )


def template_of(finding: Finding) -> str | None:
    """Its text, or its id where nobody knows that any more."""
    return finding["text"] or finding["template_id"]


def in_words(finding: Finding) -> str:
    """What is odd, but for the template itself."""
    found, expected = finding["found"], finding["expected"]
    match finding["kind"]:
        case "new":
            return f"never seen before, {_times(found)}"
        case "missing":
            return f"missing, where {_times(expected)} is normal"
        case "order":
            after = finding["followed_by_text"] or finding["followed_by"] or "another"
            return f"followed as never before by: {after}"
        case "silence":
            return f"no events, where {expected:,.0f} an hour are normal"
        case "value" if finding.get("value"):
            odd = finding["value"]
            usual = f"{odd['low']:,.6g} to {odd['high']:,.6g}"
            return f"the number {odd['number']:,.6g} is out of its range, {usual}; {_times(found)}"
        case "late" if finding.get("value"):
            waited, usual = (_clock(finding["value"][name]) for name in ("number", "high"))
            return f"came {waited} after the event before it, where at most {usual} is normal"
        case "habit" if finding.get("habit"):
            who = finding["habit"]
            past = f"{who['seen']:,} of {who['windows']:,} windows before"
            return f"{who['entity']} does not do this: in {past}, now {_times(found)}"
        case "few" | "many" as kind:
            return (
                f"{kind} events: {found or 0:,.0f} an hour, where {expected or 0:,.0f} are normal"
            )
        case kind:
            return f"{kind} than normal: {_times(found)}, where {_times(expected)} is normal"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return f"{timedelta(seconds=round(seconds))} h"


def _times(count: float | None) -> str:
    return "once" if count == 1 else f"{count or 0:,.0f} times"


def odd_numbers(text: str, template_id: str | None, findings: Iterable[Finding]) -> list[Span]:
    """Where in a line the numbers stand that are out of their range."""
    odd = {
        f"{each['value']['number']:.15g}"
        for each in findings
        if each["kind"] == "value" and each.get("template_id") == template_id
    }
    numbers = re.finditer(r"(?<![\w.])-?\d+(?:\.\d+)?", text)
    return [each.span() for each in numbers if f"{float(each[0]):.15g}" in odd]


def lines(rows: Iterable[tuple[int, str, bool, Sequence[Span]]]) -> None:
    """Lines by number, text, whether they are the odd ones, and the odd spans in them."""
    shown = "".join(
        f"<li{' class=odd' if is_odd else ''}>"
        f'<span aria-hidden="true">{"▶" if is_odd else ""}</span>'
        f'<span class="at">{number}</span>'
        f'<span class="text">{"<strong>" if is_odd else ""}{marked(text, spans)}'
        f"{'</strong>' if is_odd else ''}</span></li>"
        for number, text, is_odd, spans in rows
    )
    show(f'<ol class="lines">{shown}</ol>')


def passages(told: Mapping[str, Any], findings: Sequence[Finding] = ()) -> None:
    """Lines of objects, with those around them, as the API tells them; the first are open."""
    for number, passage in enumerate(told["items"]):
        last = passage["lines"][-1]["line_number"] if passage["lines"] else None
        span = f", lines {passage['lines'][0]['line_number']:,} to {last:,}" if last else ""
        with st.expander(label(passage["object_key"] + span), expanded=number == 0):
            if passage["problem"]:
                show(f"<p>{escaped(passage['problem'])}</p>")
            lines(
                (
                    each["line_number"],
                    each["text"] + ("…" if each["is_cut"] else ""),
                    each["is_odd"],
                    _spans(each, findings),
                )
                for each in passage["lines"]
            )


def _spans(line: Mapping[str, Any], findings: Sequence[Finding]) -> list[Span]:
    return odd_numbers(line["text"], line["template_id"], findings) if line["is_odd"] else []
