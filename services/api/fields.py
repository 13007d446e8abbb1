"""What the fields of requests hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Request
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from services.api.problems import Problem

LARGEST_ID = 2**63 - 1


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which the database cannot keep")
    return text


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is no time of the years 1 to 9999 in UTC") from error


async def refuse_nul(request: Request) -> None:
    """No address holds one. Raises Problem 422."""
    if "%00" in request.url.query or "\0" in request.url.path:
        raise Problem(422, "the address holds a NUL character, which nothing here is named with")


Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
# In UTC, whatever offset it was given with.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# What is kept in the database, in the body of a request.
Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_without_nul)]
# Why, for those who read it later.
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000),
    AfterValidator(_without_nul),
]
