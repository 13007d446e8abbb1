"""Answers that a caller may have already: a weak ETag of what is in them, and 304 for the same."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

# For a route: that it may end so.
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "What `If-None-Match` names is what there still is"}
}


def answer(request: Request, document: BaseModel) -> Response:
    """A document with its ETag; without a body where the caller has named it."""
    body = document.model_dump_json().encode()
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    # Others must not keep what only those who may read are given.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = {each.strip() for each in request.headers.get("if-none-match", "").split(",")}
    if known & {etag, etag.removeprefix("W/"), "*"}:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
