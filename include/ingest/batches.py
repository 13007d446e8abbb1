"""Batches: which objects one mapped task takes, and what was read of each.

A batch lives below `staging/<batch_id>/` in the lake bucket from discovery until its run ends, so
that tasks hand each other an address and not data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256

from pydantic import BaseModel, ConfigDict

from include.objects import StoredObject
from include.workspace import Workspace

STAGING = "staging/"


class BatchObject(BaseModel):
    """An object version to read."""

    model_config = ConfigDict(frozen=True)

    object_id: str
    key: str
    etag: str
    size_bytes: int
    last_modified_utc: datetime


class Batch(BaseModel):
    """Objects of one source that are read together and become parts of the lake together."""

    model_config = ConfigDict(frozen=True)

    batch_id: str
    source: str
    objects: list[BatchObject]

    @property
    def folder(self) -> str:
        return f"{STAGING}{self.batch_id}/"


class ObjectAccount(BaseModel):
    """What reading one object gave: lines_read = events + lines_continued + lines_quarantined.

    `failure` says why the object could not be read to its end; nothing of it counts then.
    """

    model_config = ConfigDict(frozen=True)

    object: BatchObject
    lines_read: int = 0
    events: int = 0
    lines_continued: int = 0
    lines_quarantined: int = 0
    quarantine_reasons: dict[str, int] = {}
    severities: dict[str, int] = {}
    hourly_events: dict[datetime, int] = {}
    events_without_time: int = 0
    events_without_message: int = 0
    events_in_the_future: int = 0
    first_event_utc: datetime | None = None
    last_event_utc: datetime | None = None
    failure: str | None = None


class Manifest(BaseModel):
    """A batch that has been read."""

    batch: Batch
    accounts: list[ObjectAccount]

    @property
    def readable(self) -> list[ObjectAccount]:
        return [account for account in self.accounts if account.failure is None]


def object_id(source: str, key: str, etag: str) -> str:
    """The name of an object version in the ledger and in the lake."""
    return sha256(f"{source}|{key}|{etag}".encode()).hexdigest()[:16]


def make_batches(source: str, found: Iterable[StoredObject], batch_bytes: int) -> Iterator[Batch]:
    """Objects in the order of their keys, cut where `batch_bytes` would be passed; a larger
    object is a batch of its own."""
    members: list[BatchObject] = []
    for item in sorted(found, key=lambda item: item.key):
        if members and sum(m.size_bytes for m in members) + item.size_bytes > batch_bytes:
            yield _batch(source, members)
            members = []
        members.append(
            BatchObject(
                object_id=object_id(source, item.key, item.etag),
                key=item.key,
                etag=item.etag,
                size_bytes=item.size_bytes,
                last_modified_utc=item.last_modified_utc,
            )
        )
    if members:
        yield _batch(source, members)


def _batch(source: str, members: list[BatchObject]) -> Batch:
    digest = sha256("".join(member.object_id for member in members).encode()).hexdigest()
    return Batch(batch_id=digest[:16], source=source, objects=members)


def save_batch(workspace: Workspace, batch: Batch) -> str:
    """Store the batch and return its id."""
    _put(workspace, f"{batch.folder}batch.json", batch)
    return batch.batch_id


def load_batch(workspace: Workspace, batch_id: str) -> Batch:
    data = workspace.store.get_bytes(
        workspace.settings.bucket_lake, f"{STAGING}{batch_id}/batch.json"
    )
    return Batch.model_validate_json(data)


def save_manifest(workspace: Workspace, manifest: Manifest) -> None:
    _put(workspace, f"{manifest.batch.folder}manifest.json", manifest)


def load_manifest(workspace: Workspace, batch_id: str) -> Manifest:
    data = workspace.store.get_bytes(
        workspace.settings.bucket_lake, f"{STAGING}{batch_id}/manifest.json"
    )
    return Manifest.model_validate_json(data)


def clear_staging(workspace: Workspace) -> None:
    """Remove what runs left behind. Only one ingest runs at a time, so nothing here is in use."""
    store, bucket = workspace.store, workspace.settings.bucket_lake
    store.delete(bucket, [item.key for item in store.list(bucket, STAGING)])


def _put(workspace: Workspace, key: str, document: BaseModel) -> None:
    data = document.model_dump_json(indent=1).encode()
    workspace.store.put_bytes(workspace.settings.bucket_lake, key, data)
