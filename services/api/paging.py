"""Lists in pages: a cursor names the last row seen, so that new rows shift nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field, TypeAdapter

from services.api.fields import Id
from services.api.problems import Problem

Item = TypeVar("Item")
Key = TypeVar("Key")

Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="`next_cursor` of the page before; none for the first page"),
]
Limit = Annotated[int, Query(ge=1, le=500, description="most items of a page")]


class Page(BaseModel, Generic[Item]):
    """Items, and where to go on."""

    items: list[Item]
    next_cursor: str | None = Field(description="asks for the next page; null on the last one")


def encode(*key: Any) -> str:
    """The cursor of a row: its place in the order of the list."""
    text = json.dumps(key, default=str, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unpacked(text: str, kind: type[Key]) -> Key:
    """What `encode` has made into a text. Raises ValueError: of the encoding, the JSON or the
    types."""
    return TypeAdapter(kind).validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def decode(cursor: str | None, kind: type[Key]) -> Key | None:
    """The place that a cursor names, as a `tuple[…]` of the types of the key. Raises Problem 422
    for what no list has given."""
    if cursor is None:
        return None
    try:
        return unpacked(cursor, kind)
    except ValueError as error:
        raise Problem(422, "cursor: not one that a page of this list has given") from error


def before_of(cursor: str | None) -> int | None:
    """The id that a page of ids begins before. Raises Problem 422."""
    place = decode(cursor, tuple[Id])
    return place and place[0]


def page_of(
    rows: list[dict[str, Any]],
    limit: int,
    *key: str,
    as_item: Callable[[dict[str, Any]], Any] = dict,
) -> dict[str, Any]:
    """The page of rows that were read with one more than it may hold. key: the columns that say
    where one lies in the order of the list. as_item: what a row is shown as."""
    kept = rows[:limit]
    is_last = len(rows) <= limit
    return {
        "items": [as_item(row) for row in kept],
        "next_cursor": None if is_last else encode(*(kept[-1][name] for name in key)),
    }
