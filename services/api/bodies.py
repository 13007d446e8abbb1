"""Bodies of requests: all are bounded, and those that are logs are read by their routes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api import problems
from services.api.problems import Problem

# So much of a body waits in memory before it goes to a file.
HELD_BYTES = 2**20
# Of what the framework reads as a whole: no form and no question of people is longer.
LARGEST_BYTES = 2**20


class Bounded:
    """Around an app: bodies of JSON and of forms end where they are too long.

    Routes that read a body themselves bound it themselves.
    """

    def __init__(self, app: ASGIApp, but: frozenset[str]) -> None:
        self.app, self.but = app, but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self.but:
            await self.app(scope, receive, send)
            return
        length = 0

        async def receive_bounded() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            # What is told to have left is not answered, and the rest is not read.
            return message if length <= LARGEST_BYTES else {"type": "http.disconnect"}

        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > LARGEST_BYTES:
            problem = Problem(413, f"the body is longer than {LARGEST_BYTES:,} bytes")
            await problems.answer(Request(scope), problem)(scope, receive, send)
            return
        await self.app(scope, receive_bounded, send)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def spooled(request: Request, most_bytes: int, told: str) -> BinaryIO:
    """The body in a file that is gone once it is closed, at its start. Raises Problem 413 with what
    to do, `told`, where it is longer than `most_bytes`."""
    body = cast("BinaryIO", SpooledTemporaryFile(HELD_BYTES))  # noqa: SIM115 - who asks closes it
    try:
        length = 0
        async for block in request.stream():
            length += len(block)
            if length > most_bytes:
                raise Problem(413, f"the body is longer than {most_bytes:,} bytes: {told}")
            await run_in_threadpool(body.write, block)
    except BaseException as error:
        body.close()
        if isinstance(error, ClientDisconnect):
            raise Problem(400, "the body ended before its end") from error
        raise
    body.seek(0)
    return body


async def blocks(body: BinaryIO) -> AsyncGenerator[bytes, None]:
    """What is in a body, as a parser of forms takes it."""
    while block := await run_in_threadpool(body.read, HELD_BYTES):
        yield block
