"""From bytes to lines."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest
import zstandard

from include.ingest.decode import (
    BLOCK_BYTES,
    LONGEST_LINE,
    UnreadableObject,
    read_lines,
)

TEXT = "".join(f"line {n} of some text: naïve, 日本, 🙂\n" for n in range(20_000))


def lines_of(stream: io.BytesIO, chunk_lines: int = 7000) -> list[str]:
    return [line for chunk in read_lines(stream, chunk_lines) for line in chunk]


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def stored(text: str) -> dict[str, bytes]:
    """A text as objects may hold it."""
    data = text.encode()
    return {
        "plain": data,
        "a byte order mark": b"\xef\xbb\xbf" + data,
        "gzip": gzip.compress(data),
        "gzip in two members": gzip.compress(data[:9]) + gzip.compress(data[9:]),
        "gzip with zeros after its members": gzip.compress(data[:9])
        + bytes(7)
        + gzip.compress(data[9:])
        + bytes(7),
        "zstandard": zstd(data),
        "zstandard in frames, one of them empty": zstd(b"") + zstd(data[:1]) + zstd(data[1:]),
        "utf-16": text.encode("utf-16"),
        "utf-16, big-endian": b"\xfe\xff" + text.encode("utf-16-be"),
        "utf-16 in gzip": gzip.compress(text.encode("utf-16")),
        "Windows line ends": text.replace("\n", "\r\n").encode(),
        "no newline at the end": data[:-1],
    }


@pytest.mark.parametrize("way", stored(TEXT))
@pytest.mark.parametrize(
    ("read_bytes", "lines"), [(1, 40), (3, 400), (1001, 20_000), (2**30, 20_000)]
)
def test_the_same_lines_however_they_are_stored(
    way: str, read_bytes: int, lines: int, trickle: Callable[..., io.BytesIO]
) -> None:
    wanted = TEXT.splitlines()[:lines]
    data = stored("".join(f"{line}\n" for line in wanted))[way]
    assert lines_of(trickle(data, read_bytes)) == wanted


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\n\na", ["", "", "a"]),
        (b"a\r\nb\r", ["a", "b"]),
        (b"a\rb\x0bc\x85d\n", ["a\rb\x0bc\ufffdd"]),
        (b"caf\xe9 closed\n\xff\xffx\n", ["caf\ufffd closed", "\ufffd\ufffdx"]),
        (b"cut \xe2\x82\nnext\n", ["cut \ufffd", "next"]),
        (b"a\x00b\n", ["a\u2400b"]),
        (b"\xef\xbb\xbf", []),
        (b"\xff\xfe", []),
        (b"\xff\xfea\x00\n\x00b", ["a", "\ufffd"]),
    ],
)
def test_odd_bytes(data: bytes, lines: list[str]) -> None:
    assert lines_of(io.BytesIO(data)) == lines


def test_chunks_hold_as_many_lines_as_asked_for() -> None:
    stream = io.BytesIO(b"x\n" * 25)
    assert [len(chunk) for chunk in read_lines(stream, 10)] == [10, 10, 5]


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 9_000_000])
@pytest.mark.parametrize("character", ["x", "é", "🙂"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_is_cut_one_character_beyond_the_bound(
    length: int, character: str, end: str
) -> None:
    data = f"a\n{character * length}{end}b\n".encode()
    found = lines_of(io.BytesIO(data))
    assert [found[0], found[2]] == ["a", "b"]
    assert len(found[1]) == min(length, LONGEST_LINE + 1)
    assert set(found[1]) == {character}


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstandard"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_object_says_at_which_byte(
    pack: Callable[[bytes], bytes], share: float
) -> None:
    packed = pack(TEXT.encode())
    cut = int(len(packed) * share)
    with pytest.raises(UnreadableObject, match=rf"at or before byte {cut} .*upload the object"):
        lines_of(io.BytesIO(packed[:cut]))


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstandard"])
def test_a_damaged_object_is_unreadable(pack: Callable[[bytes], bytes]) -> None:
    packed = bytearray(pack(TEXT.encode()))
    packed[20:60] = bytes(40)
    with pytest.raises(UnreadableObject, match="damaged"):
        lines_of(io.BytesIO(packed))


def test_what_follows_a_gzip_member_and_is_none_is_damage() -> None:
    with pytest.raises(UnreadableObject, match="damaged gzip"):
        lines_of(io.BytesIO(gzip.compress(b"a\n") + b"no gzip"))


@pytest.mark.parametrize("pack", [gzip.compress, zstd], ids=["gzip", "zstandard"])
def test_an_endless_line_stays_small_in_memory(pack: Callable[[bytes], bytes]) -> None:
    data = pack(b"x" * (12 * BLOCK_BYTES))
    assert [len(line) for line in lines_of(io.BytesIO(data))] == [LONGEST_LINE + 1]
