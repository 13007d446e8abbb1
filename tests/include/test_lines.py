"""Lines of raw logs: with context, masked, bounded, and no more read than is needed."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from include.database import ledger
from include.database.ledger import LedgerEntry
from include.lines import MASKED, SHOWN_CHARACTERS, passages
from include.objects import ByteStream, ObjectStore
from include.sources import LogSource
from include.sources.redaction import Redaction
from include.workspace import Workspace

Put = Callable[..., str]
WINDOWING = {"kind": "time", "size": "1h", "step": "1h"}


@pytest.fixture
def source() -> LogSource:
    document = {"name": f"lines_{uuid4().hex[:8]}", "format": "log4j", "windowing": WINDOWING}
    return LogSource.model_validate({**document, "redact": ["secret", "email"]})


@pytest.fixture
def put(workspace: Workspace, source: LogSource) -> Put:
    """Stores an object and tells the ledger of it; its key."""

    def store(data: bytes, name: str = "a.log") -> str:
        key = f"{source.name}/{name}"
        workspace.store.put_bytes(workspace.settings.bucket_logs, key, data)
        (stored,) = workspace.store.list(workspace.settings.bucket_logs, key)
        entry = LedgerEntry(
            uuid4().hex, source.name, key, stored.etag, 1, 0, 0, 0, 0, {}, {}, None, None, "batch"
        )
        with workspace.engine.begin() as conn:
            ledger.commit_batch(conn, [entry], [], [])
        return key

    return store


def numbered(count: int) -> bytes:
    return "".join(f"line {number}\n" for number in range(1, count + 1)).encode()


def numbers(found: list[Any]) -> list[list[int]]:
    return [[line.line_number for line in passage.lines] for passage in found]


@pytest.mark.parametrize(
    ("wanted", "context", "expected"),
    [
        ([5], 2, [[3, 4, 5, 6, 7]]),
        ([5], 0, [[5]]),
        ([1], 2, [[1, 2, 3]]),
        ([1000], 2, [[998, 999, 1000]]),
        ([5, 8], 1, [[4, 5, 6, 7, 8, 9]]),
        ([9, 5], 1, [[4, 5, 6], [8, 9, 10]]),
        ([100, 101, 400], 1, [[99, 100, 101, 102], [399, 400, 401]]),
        ([5, 5], 0, [[5]]),
        ([2000], 1, [[]]),
    ],
)
def test_lines_stand_among_their_neighbours(
    workspace: Workspace,
    source: LogSource,
    put: Put,
    wanted: list[int],
    context: int,
    expected: list[list[int]],
) -> None:
    key = put(numbered(1000))
    found = passages(workspace, source, [(key, number) for number in wanted], context)
    assert numbers(found) == expected
    assert all(
        line.text == f"line {line.line_number}" for passage in found for line in passage.lines
    )
    assert [passage.problem for passage in found] == [None] * len(expected)


def test_packed_objects_and_several_at_once_are_read(
    workspace: Workspace, source: LogSource, put: Put
) -> None:
    keys = [put(numbered(9), "b.log"), put(gzip.compress(numbered(9)), "a.log.gz")]
    found = passages(workspace, source, [(key, 4) for key in keys], 1)
    assert [passage.object_key for passage in found] == sorted(keys)
    assert numbers(found) == [[3, 4, 5], [3, 4, 5]]


def test_what_the_source_redacts_is_masked_before_lines_are_cut(
    workspace: Workspace, source: LogSource, put: Put
) -> None:
    late = "x" * (SHOWN_CHARACTERS - 4) + " password=hunter2hunter2"
    key = put(f"mail to ada@example.org\n{late}\n".encode())
    [passage] = passages(workspace, source, [(key, 1), (key, 2)], 0)
    first, second = passage.lines
    assert (first.text, first.is_cut) == ("mail to [email]", False)
    assert (len(second.text), second.is_cut) == (SHOWN_CHARACTERS, True)
    assert "hunter2" not in "".join(line.text for line in passage.lines)


@pytest.mark.parametrize("context", [0, 1, 200])
def test_a_secret_over_several_lines_is_masked_as_ingest_masks_it(
    workspace: Workspace, source: LogSource, put: Put, context: int
) -> None:
    key = put(numbered(100) + b"password:\n  hunter2hunter2\n" + numbered(100))
    [passage] = passages(workspace, source, [(key, 102)], context)
    (odd,) = [line for line in passage.lines if line.line_number == 102]
    assert odd.text == "  [secret]"
    assert len(passage.lines) == 1 + 2 * min(context, 100) + (context > 100)


def test_what_masks_lines_with_their_ends_masks_each_of_them(
    workspace: Workspace, source: LogSource, put: Put
) -> None:
    pem = Redaction(name="key", pattern="(?s)-----BEGIN.*?END-----")
    source = source.model_copy(update={"redact": (*source.redact, pem)})
    key = put(b"before\n-----BEGIN\nMIIEvQIBADAN\nEND-----\nafter\n")
    [passage] = passages(workspace, source, [(key, 3)], 2)
    assert [line.text for line in passage.lines] == ["before", MASKED, MASKED, MASKED, "after"]
    [alone] = passages(workspace, source, [(key, 3)], 0)
    assert [line.text for line in alone.lines] == [MASKED]


def test_a_line_without_end_is_cut(workspace: Workspace, source: LogSource, put: Put) -> None:
    key = put(b"before\n" + b"<b>" * 4_000_000 + b"\nafter\0\xff\n")
    [passage] = passages(workspace, source, [(key, 2)], 1)
    assert [len(line.text) for line in passage.lines] == [6, SHOWN_CHARACTERS, 7]
    assert [line.is_cut for line in passage.lines] == [False, True, False]
    assert passage.lines[2].text == "after\u2400\ufffd"


class _Counting(ObjectStore):
    """A store that counts what is opened and read."""

    def __init__(self, real: ObjectStore) -> None:
        self.real, self.opened, self.bytes = real, 0, 0

    @contextmanager
    def open(self, bucket: str, key: str, etag: str | None = None) -> Iterator[ByteStream]:
        self.opened += 1
        with self.real.open(bucket, key, etag) as stream:
            yield _Counted(self, stream)


@dataclass
class _Counted:
    store: _Counting
    stream: ByteStream

    def read(self, amt: int = -1, /) -> bytes:
        data = self.stream.read(amt)
        self.store.bytes += len(data)
        return data


def test_an_object_is_read_once_and_no_farther_than_its_last_wanted_line(
    workspace: Workspace, source: LogSource, put: Put
) -> None:
    data = numbered(1_000_000)
    key = put(data)
    store = _Counting(workspace.store)
    space = replace(workspace, store=store)
    found = passages(space, source, [(key, 10), (key, 20_000), (key, 15)], 1)
    assert numbers(found) == [[9, 10, 11], [14, 15, 16], [19_999, 20_000, 20_001]]
    assert store.opened == 1
    assert store.bytes < len(data) / 4


def test_what_is_gone_damaged_or_unknown_says_so(
    workspace: Workspace, source: LogSource, put: Put
) -> None:
    damaged = put(gzip.compress(numbered(100_000))[:-2000], "damaged.gz")
    gone = put(numbered(9), "gone.log")
    replaced = put(numbered(9), "replaced.log")
    workspace.store.delete(workspace.settings.bucket_logs, [gone])
    workspace.store.put_bytes(workspace.settings.bucket_logs, replaced, b"another\n")
    wanted = [(damaged, 2), (damaged, 99_999), (gone, 1), (replaced, 1), ("nowhere", 1)]
    found = passages(workspace, source, wanted, 0)
    found.sort(key=lambda each: not each.lines)
    assert numbers(found) == [[2], [], [], [], []]
    problems = {each.object_key: each.problem for each in found if not each.lines}
    assert "damaged gzip" in (problems[damaged] or "")
    assert "replaced or removed" in (problems[gone] or "")
    assert "replaced or removed" in (problems[replaced] or "")
    assert "not among the ingested" in (problems["nowhere"] or "")
    assert found[0].problem is None
