"""Bodies that routes read themselves, since they are logs: bounded, whatever a header says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from services.api.problems import Problem

# So much of a body waits in memory before it goes to a file.
HELD_BYTES = 2**20


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
