"""From an object's bytes to lines of text, in bounded memory.

Compression is known by its first bytes, not by the name: gzip (also several members), Zstandard
(also several frames) or none. Text is UTF-8, or UTF-16 where a byte order mark says so. Bytes that
are no text become U+FFFD and NUL becomes U+2400, since no database column holds a NUL; everything
else stays as it is, but for the line ends.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import zstandard
from zlib_ng import zlib_ng

from include.objects import ByteStream

# So small that its copies stay in the processor's cache, and memory is used again, not asked for.
BLOCK_BYTES = 2**19
# A longer line is cut to one character more than this, by which it is known.
LONGEST_LINE = 2**20
# Enough bytes to hold that many characters, whichever they are.
LONGEST_LINE_BYTES = 4 * (LONGEST_LINE + 2)
# A few bytes of Zstandard may stand for very many: small sips keep what comes out bounded.
ZSTD_SIP_BYTES = 2**12
GZIP_MAGIC = b"\x1f\x8b"
# What zlib calls a stream with the header and the checksum of gzip.
GZIP_WINDOW = 16 + zlib_ng.MAX_WBITS
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
NEWLINE = ord("\n")


class UnreadableObject(ValueError):
    """The object is damaged; the message says how far it could be read."""


def read_lines(stream: ByteStream, chunk_lines: int) -> Iterator[pl.Series]:
    """The lines of an object, `chunk_lines` or fewer at a time, as strings without their ends.

    Raises UnreadableObject for damaged compression.
    """
    lines = pl.Series("line", [], pl.String)
    for block in _whole_lines(_utf8(_decompressed(stream))):
        lines = pl.concat([lines, _split(block)])
        while len(lines) >= chunk_lines:
            yield lines[:chunk_lines].rechunk()
            lines = lines[chunk_lines:]
    if len(lines):
        yield lines.rechunk()


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked. Raises UnreadableObject, which names it, for damage."""
    with path.open("rb") as stream:
        try:
            return b"".join(_decompressed(stream))
        except UnreadableObject as error:
            raise UnreadableObject(f"{path}: {error}") from error


def _split(block: bytes) -> pl.Series:
    """The lines of a block that ends with a line's end."""
    text = _storable(block)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == NEWLINE)
    if np.diff(ends, prepend=-1).max() > LONGEST_LINE:
        cut = [part[: LONGEST_LINE + 1] for part in text.decode().split("\n")[:-1]]
        return pl.Series("line", cut, pl.String)
    # Without the newlines the text is laid out as Arrow wants it: only the offsets are missing.
    offsets = np.append(0, ends - np.arange(len(ends)))
    lines = pa.LargeStringArray.from_buffers(
        len(ends), pa.py_buffer(offsets), pa.py_buffer(text.replace(b"\n", b""))
    )
    return pl.Series("line", lines)


def _storable(block: bytes) -> bytes:
    """Valid UTF-8 without NUL. Newlines are part of no other character, so that what a block
    becomes does not depend on its neighbours."""
    if b"\x00" in block:
        block = block.replace(b"\x00", "\u2400".encode())
    try:
        block.decode()
    except UnicodeDecodeError:
        return block.decode(errors="replace").encode()
    return block


def _whole_lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, cut only after a line's end; what nobody will read of an endless line is
    dropped."""
    pending = b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield pending + block[:end]
            pending = b""
        pending += block[end:][: LONGEST_LINE_BYTES - len(pending)]
    if pending:
        yield pending + b"\n"


def _utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Text of either encoding as UTF-8, without the byte order mark."""
    first = b""
    while len(first) < len(codecs.BOM_UTF8) and (more := next(blocks, b"")):
        first += more
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        for block in chain([first], blocks):
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    else:
        yield from chain([first.removeprefix(codecs.BOM_UTF8)], blocks)


class _FromStart:
    """A stream with the bytes put back that were read to recognise it.

    position: how many of its bytes have been read.
    """

    def __init__(self, head: bytes, stream: ByteStream) -> None:
        self.head = head
        self.stream = stream
        self.position = 0

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        taken = self.head[:size] or self.stream.read(size)
        self.head = self.head[size:]
        self.position += len(taken)
        return taken


def _decompressed(stream: ByteStream) -> Iterator[bytes]:
    """Blocks of at least one byte."""
    head = b""
    while len(head) < len(ZSTD_MAGIC) and (more := stream.read(len(ZSTD_MAGIC) - len(head))):
        head += more
    whole = _FromStart(head, stream)
    if head.startswith(GZIP_MAGIC):
        yield from _gunzipped(whole)
    elif head.startswith(ZSTD_MAGIC):
        yield from _unzstd(whole)
    else:
        while block := whole.read():
            yield block


def _gunzipped(stream: _FromStart) -> Iterator[bytes]:
    """By zlib-ng, which reads as zlib does in half the time."""
    member = zlib_ng.decompressobj(GZIP_WINDOW)
    try:
        while data := stream.read():
            while data:
                if block := member.decompress(data, BLOCK_BYTES):
                    yield block
                data = member.unconsumed_tail
                # Zeros may follow a member, and another member.
                if member.eof and (data := member.unused_data.lstrip(b"\0")):
                    member = zlib_ng.decompressobj(GZIP_WINDOW)
    except zlib_ng.error as error:  # type: ignore[misc]  # its stub takes the class for an error
        raise UnreadableObject(_damage("gzip", stream, str(error))) from error
    if not member.eof:
        raise UnreadableObject(_damage("gzip", stream, "it ends in the middle of a member"))


def _unzstd(stream: _FromStart) -> Iterator[bytes]:
    block = bytearray()
    try:
        for piece in _zstd_pieces(stream):
            block += piece
            if len(block) >= BLOCK_BYTES:
                yield bytes(block)
                block.clear()
    except zstandard.ZstdError as error:
        raise UnreadableObject(_damage("Zstandard", stream, str(error))) from error
    if block:
        yield bytes(block)


def _zstd_pieces(stream: _FromStart) -> Iterator[bytes]:
    frame = zstandard.ZstdDecompressor().decompressobj()
    while data := stream.read(ZSTD_SIP_BYTES):
        while data:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(data)
            data = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise zstandard.ZstdError("it ends in the middle of a frame")


def _damage(compression: str, stream: _FromStart, found: str) -> str:
    return (
        f"damaged {compression} at or before byte {stream.position} ({found}): upload the object "
        "again"
    )
