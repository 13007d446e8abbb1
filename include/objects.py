"""The object store: the only module that speaks S3.

The buckets are named by the settings. `logs` is only ever read; `lake` and `docs` are ours.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Protocol

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from include.settings import Settings

NOT_THERE = {"NoSuchKey", "NoSuchObject"}


class ByteStream(Protocol):
    """What a reader of an object needs: bytes in order, in bounded pieces."""

    def read(self, amt: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object version: key and ETag together name its content."""

    key: str
    etag: str
    size_bytes: int
    last_modified_utc: datetime


class ReplacedObject(RuntimeError):
    """The version of an object that was asked for is no longer there."""


class ObjectStore:
    """Buckets of objects behind an S3 endpoint. A put is atomic: readers see all or nothing."""

    def __init__(self, settings: Settings) -> None:
        self._client = Minio(
            settings.s3_endpoint,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            secure=settings.s3_secure,
        )

    def ensure_bucket(self, bucket: str) -> None:
        if not self._client.bucket_exists(bucket):
            self._client.make_bucket(bucket)

    def list(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """The objects below a prefix, in the order of their keys."""
        for item in self._client.list_objects(bucket, prefix=prefix, recursive=True):
            if item.is_dir or item.object_name is None or item.last_modified is None:
                continue
            yield StoredObject(
                item.object_name, (item.etag or "").strip('"'), item.size or 0, item.last_modified
            )

    @contextmanager
    def open(self, bucket: str, key: str, etag: str | None = None) -> Iterator[ByteStream]:
        """A stream over one object's bytes, closed with the context.

        etag: the version to read, whichever there is where it is None. Raises ReplacedObject where
        there is another one by now, or none.
        """
        condition: dict[str, str | list[str] | tuple[str]] = (
            {"If-Match": f'"{etag}"'} if etag else {}
        )
        try:
            response = self._client.get_object(bucket, key, request_headers=condition)
        except S3Error as error:
            if etag and error.code in {"PreconditionFailed", *NOT_THERE}:
                raise ReplacedObject(f"{key} was replaced or removed after it was found") from error
            raise
        try:
            yield response
        finally:
            response.close()
            response.release_conn()

    def get_bytes(self, bucket: str, key: str) -> bytes:
        with self.open(bucket, key) as stream:
            return stream.read()

    def put_bytes(self, bucket: str, key: str, data: bytes) -> None:
        self._client.put_object(bucket, key, BytesIO(data), len(data))

    def exists(self, bucket: str, key: str) -> bool:
        try:
            self._client.stat_object(bucket, key)
        except S3Error as error:
            if error.code in NOT_THERE:
                return False
            raise
        return True

    def delete(self, bucket: str, keys: Iterable[str]) -> None:
        """Remove the objects; those already gone are no error."""
        errors = list(self._client.remove_objects(bucket, [DeleteObject(key) for key in keys]))
        if errors:
            raise RuntimeError(f"bucket {bucket}: not all objects are gone: {errors[0]}")
