"""What pages are made of: badges, tables, links, and how they say that something is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import streamlit as st

from services.dashboard import session
from services.dashboard.client import ApiError
from services.dashboard.text import escaped, label

STYLE, ICON = (Path(__file__).with_name(name) for name in ("style.css", "icon.svg"))
SEVERITIES = ("critical", "high", "medium", "low")
SHAPES = {"critical": "■", "high": "◆", "medium": "▲", "low": "●"}
NONE = "–"


class Html(str):
    """Markup of ours; any other text is escaped before it is shown."""

    __slots__ = ()


class Column(NamedTuple):
    title: str
    is_number: bool = False


def show(markup: str) -> None:
    st.html(f'<div class="la">{markup}</div>')


def heading(title: object) -> None:
    """The title of a page, where it comes out of a log."""
    show(f"<h1>{escaped(title)}</h1>")


def facts(*of: object) -> None:
    """Short facts in a row."""
    told = "".join(f"<span>{_cell(each)}</span>" for each in of if each != "")
    show(f'<div class="facts">{told}</div>')


def note(text: object) -> None:
    """A remark in small letters; those of Streamlit are too pale to read for many."""
    show(f'<p class="quiet">{escaped(text)}</p>')


def severity(name: str) -> Html:
    """A severity by colour, shape and word."""
    return Html(f'<span class="badge {escape(name)}">{SHAPES.get(name, "")} {escape(name)}</span>')


def state(name: str) -> Html:
    return Html(f'<span class="state">{escape(name)}</span>')


def code(text: object) -> Html:
    return Html(f'<span class="text">{escaped(text)}</span>')


def table(title: str, columns: Sequence[Column | str], rows: Iterable[Sequence[object]]) -> None:
    """A table that a reader of screens and a phone can take. title: what it is called there."""
    heads = [Column(each) if isinstance(each, str) else each for each in columns]
    classes = [' class="number"' if head.is_number else "" for head in heads]
    top = "".join(
        f'<th scope="col"{kind}>{escape(head.title)}</th>'
        for head, kind in zip(heads, classes, strict=True)
    )
    body = "".join(
        f"<tr>{''.join(f'<td{k}>{_cell(c)}</td>' for k, c in zip(classes, row, strict=True))}</tr>"
        for row in rows
    )
    show(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">'
        f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, Html):
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return escaped(value)


def count(number: int, of: str, many: str | None = None) -> str:
    """So many of something, in words."""
    return f"{number:,} {of if number == 1 else many or f'{of}s'}"


def moment(text: str | None) -> str:
    """A time of the API for people: always UTC."""
    if not text:
        return NONE
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"


def day(text: str | None) -> str:
    return text[:10] if text else NONE


def span(start: str, end: str) -> str:
    """From when to when, the day said once where it is the same."""
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    if first.date() == last.date():
        return f"{first:%Y-%m-%d %H:%M} to {last:%H:%M} UTC"
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def link(page: str, text: object, **query: object) -> None:
    """A link to a page of ours, with what it shows in its address."""
    where = {name: str(value) for name, value in query.items() if value is not None}
    st.page_link(st.session_state["pages"][page], label=label(text), query_params=where or None)


def anchor(page: str, text: object, **query: object) -> Html:
    """The same within a table: a browser loads the page anew for it."""
    return Html(f'<a class="text" href="{page}?{escape(urlencode(query))}">{escaped(text)}</a>')


def empty(what: str, to_do: str) -> None:
    """Says that there is nothing, and how something would come."""
    st.info(f"{what} {to_do}", icon=":material/info:")


def problem(error: ApiError) -> None:
    """Says what failed and what to do."""
    if error.status == 401:
        session.sign_in()
        return
    told = {
        403: "Your role does not allow this. Ask an admin of LogAnalyzer for another one.",
        429: "Too many requests. Wait a minute, then try again.",
    }.get(error.status)
    st.error(told or label(error.detail, most=1000), icon=":material/error:")
    if told:
        note(error.detail)
    if error.request_id:
        note(f"The log of the API tells more under the request id {error.request_id}.")


def ending(place: str, button: str, called: str, ended: str, *of: object) -> None:
    """Facts of something in a row, with a button that ends it. place: its path at the API. called:
    its name, for readers of screens. ended: said afterwards."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        facts(*of)
        if st.button(button, key=place, help=called):
            session.api().delete(place)
            tell(ended)
            st.rerun()


def token(place: str, of: Mapping[str, Any], *whose: str) -> None:
    """A token, which may be revoked."""
    ending(
        f"{place}/{of['token_id']}",
        "Revoke",
        f"Token {of['token_id']}",
        "The token is revoked: programs that use it are refused from now on.",
        code(of["name"]),
        *whose,
        "may " + ", ".join(of["scopes"]),
        f"until {moment(of['expires_at'])}",
    )


def quarantined(lines: Sequence[Mapping[str, Any]]) -> None:
    """Lines that did not parse, where there are any."""
    if lines:
        title = "Lines that did not parse"
        st.subheader(title)
        rows = [(each["line_number"], each["reason"], code(each["text"])) for each in lines]
        table(title, [Column("Line", True), "Why", "Text"], rows)


def tell(message: str) -> None:
    """Says something, in Markdown, after the page is shown anew."""
    st.session_state["told"] = message


def told() -> None:
    """Shows what `tell` was given."""
    message = st.session_state.pop("told", None)
    if message:
        st.success(message, icon=":material/check:")


def source_choice(names: Sequence[str]) -> str | None:
    """The source that the address names, or the choice of one."""
    return st.selectbox("Source", names, key="source", bind="query-params", width=260)
