"""From an object's bytes to lines of text, in bounded memory.

Compression is known by its first bytes, not by the name: gzip (also several members), Zstandard
(also several frames) or none. Text is UTF-8, or UTF-16 where a byte order mark says so. Bytes that
are no text become U+FFFD and NUL becomes U+2400, since no database column holds a NUL; everything
else stays as it is, but for the line ends.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from itertools import chain

import zstandard

from include.objects import ByteStream

BLOCK_BYTES = 4 * 2**20
# A longer line is cut to one character more than this, by which it is known.
LONGEST_LINE = 2**20
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class UnreadableObject(ValueError):
    """The object is damaged; the message says how far it could be read."""


def read_lines(stream: ByteStream, chunk_lines: int) -> Iterator[list[str]]:
    """The lines of an object, `chunk_lines` or fewer at a time, without their ends.

    Raises UnreadableObject for damaged compression.
    """
    lines: list[str] = []
    pending = ""
    for text in _texts(stream):
        parts = (pending + text).split("\n")
        pending = parts.pop()[: LONGEST_LINE + 1]
        lines += parts
        while len(lines) >= chunk_lines:
            yield [_clean(line) for line in lines[:chunk_lines]]
            del lines[:chunk_lines]
    if pending:
        lines.append(pending)
    while lines:
        yield [_clean(line) for line in lines[:chunk_lines]]
        del lines[:chunk_lines]


def _clean(line: str) -> str:
    return line.removesuffix("\r")[: LONGEST_LINE + 1]


def _texts(stream: ByteStream) -> Iterator[str]:
    blocks = _decompressed(stream)
    first = next(blocks, b"")
    is_utf16 = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8-sig")("replace")
    for block in chain([first], blocks):
        yield _storable(decoder.decode(block))
    yield _storable(decoder.decode(b"", final=True))


def _storable(text: str) -> str:
    return text.replace("\x00", "\u2400") if "\x00" in text else text


class _FromStart:
    """A stream with the bytes put back that were read to recognise it."""

    def __init__(self, head: bytes, stream: ByteStream) -> None:
        self.head = head
        self.stream = stream

    def read(self, size: int = -1) -> bytes:
        if not self.head:
            return self.stream.read(size) if size >= 0 else self.stream.read()
        taken = self.head if size < 0 else self.head[:size]
        self.head = self.head[len(taken) :]
        return taken + self.stream.read() if size < 0 else taken


def _decompressed(stream: ByteStream) -> Iterator[bytes]:
    head = b""
    while len(head) < len(ZSTD_MAGIC) and (more := stream.read(len(ZSTD_MAGIC) - len(head))):
        head += more
    whole = _FromStart(head, stream)
    if head.startswith(GZIP_MAGIC):
        yield from _gunzipped(whole)
    elif head.startswith(ZSTD_MAGIC):
        yield from _unzstd(whole)
    else:
        while block := whole.read(BLOCK_BYTES):
            yield block


def _gunzipped(stream: _FromStart) -> Iterator[bytes]:
    done = 0
    with gzip.GzipFile(fileobj=stream) as unzipped:  # type: ignore[call-overload]
        while True:
            try:
                block = unzipped.read(BLOCK_BYTES)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise UnreadableObject(
                    f"damaged gzip after {done} bytes of text ({error}): upload the object again"
                ) from error
            if not block:
                return
            done += len(block)
            yield block


def _unzstd(stream: _FromStart) -> Iterator[bytes]:
    done = 0
    frame = zstandard.ZstdDecompressor().decompressobj()
    data = stream.read(BLOCK_BYTES)
    try:
        while data:
            block = frame.decompress(data)
            done += len(block)
            yield block
            data = frame.unused_data if frame.eof else b""
            data = data or stream.read(BLOCK_BYTES)
            if frame.eof and data:
                frame = zstandard.ZstdDecompressor().decompressobj()
    except zstandard.ZstdError as error:
        raise UnreadableObject(
            f"damaged Zstandard after {done} bytes of text ({error}): upload the object again"
        ) from error
    if not frame.eof:
        raise UnreadableObject(
            f"Zstandard ends in the middle of a frame, after {done} bytes of text: upload the "
            "object again"
        )
