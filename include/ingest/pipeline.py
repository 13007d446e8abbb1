"""The steps of ingest, as the tasks of `ingest_logs` call them: small addresses in and out."""

from __future__ import annotations

import logging
from collections import defaultdict
from io import BytesIO
from typing import TypedDict

import polars as pl

from include.database import catalogue, ledger
from include.ingest import batches
from include.ingest.publish import write_events
from include.ingest.stage import read_batch, shapes_key
from include.ingest.validate import check_events, check_parsed, ledger_entry
from include.workspace import Workspace
from ml.templates import merge_shapes

log = logging.getLogger(__name__)


class BatchAddress(TypedDict):
    source: str
    batch_id: str


class ValidatedBatch(BatchAddress):
    """`accepted`: ids of the objects whose events may be published."""

    accepted: list[str]


class PublishedBatch(BatchAddress):
    events: int


def discover_batches(workspace: Workspace, source: str | None) -> list[BatchAddress]:
    """The new objects of one source, or of all, cut into batches."""
    batches.clear_staging(workspace)
    found = []
    for log_source in workspace.chosen(source):
        with workspace.engine.connect() as conn:
            known = ledger.known_objects(conn, log_source.name)
        new = [
            item
            for item in workspace.store.list(workspace.settings.bucket_logs, log_source.prefix)
            if (item.key, item.etag) not in known
        ]
        for batch in batches.make_batches(log_source.name, new, workspace.settings.batch_bytes):
            batches.save_batch(workspace, batch)
            found.append(BatchAddress(source=batch.source, batch_id=batch.batch_id))
            log.info("%s: batch %s of %d objects", *found[-1].values(), len(batch.objects))
    return found


def stage_batch(workspace: Workspace, source: str, batch_id: str) -> BatchAddress:
    manifest = read_batch(workspace, batches.load_batch(workspace, batch_id))
    log.info(
        "%s: %d lines, %d events, %d lines quarantined, %d of %d objects unreadable",
        source,
        sum(account.lines_read for account in manifest.accounts),
        sum(account.events for account in manifest.accounts),
        sum(account.lines_quarantined for account in manifest.accounts),
        len(manifest.accounts) - len(manifest.readable),
        len(manifest.accounts),
    )
    return BatchAddress(source=source, batch_id=batch_id)


def validate_batch(workspace: Workspace, source: str, batch_id: str) -> ValidatedBatch:
    """Set aside the objects that cannot be read or fail a critical check; pass on the others."""
    manifest = batches.load_manifest(workspace, batch_id)
    refused = check_parsed(workspace, manifest)
    _set_aside(workspace, manifest, refused)
    accepted = [
        account.object.object_id
        for account in manifest.readable
        if account.object.object_id not in refused
    ]
    return ValidatedBatch(source=source, batch_id=batch_id, accepted=accepted)


def learn_templates(workspace: Workspace, validated: list[ValidatedBatch]) -> list[ValidatedBatch]:
    """Extend the catalogues by the shapes of the validated batches; pass the batches on.

    The one step that is not parallel: it sees only distinct shapes, which are few.
    """
    by_source: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for address in validated:
        batch = batches.load_batch(workspace, address["batch_id"])
        data = workspace.store.get_bytes(workspace.settings.bucket_lake, shapes_key(batch))
        by_source[address["source"]].append(pl.read_parquet(BytesIO(data)))
    for source, shapes in by_source.items():
        with workspace.engine.begin() as conn:
            catalogue.lock_catalogue(conn, source)
            before = catalogue.load_catalogue(conn, source, workspace.source(source).masks)
            after = before.learn(merge_shapes(shapes))
            catalogue.save_catalogue(conn, before, after, by="ingest")
        log.info("%s: %d templates, %d before", source, len(after), len(before))
    return [address for address in validated if address["accepted"]]


def publish_batch(
    workspace: Workspace, source: str, batch_id: str, accepted: list[str]
) -> PublishedBatch:
    """Write the accepted objects' events to the lake and commit them to the ledger."""
    manifest = batches.load_manifest(workspace, batch_id)
    with workspace.engine.connect() as conn:
        known_templates = catalogue.load_catalogue(conn, source, workspace.source(source).masks)
    accepted_accounts = [each for each in manifest.readable if each.object.object_id in accepted]
    written = write_events(workspace, manifest.batch, accepted_accounts, known_templates)
    refused = check_events(workspace, manifest, written.checked_rows())
    _set_aside(workspace, manifest, refused)
    published = [each for each in accepted_accounts if each.object.object_id not in refused]
    with workspace.engine.begin() as conn:
        entries = [ledger_entry(manifest, account) for account in published]
        ledger.commit_batch(conn, entries, written.parts, written.counts)
    return PublishedBatch(
        source=source, batch_id=batch_id, events=sum(account.events for account in published)
    )


def clear_staging(workspace: Workspace) -> None:
    batches.clear_staging(workspace)


def _set_aside(workspace: Workspace, manifest: batches.Manifest, refused: dict[str, str]) -> None:
    """Record the refused and the unreadable objects with the reason; they stay where they are."""
    reasons = refused | {
        account.object.object_id: account.failure
        for account in manifest.accounts
        if account.failure is not None
    }
    entries = [
        ledger_entry(manifest, account)
        for account in manifest.accounts
        if account.object.object_id in reasons
    ]
    for entry in entries:
        log.warning("%s is set aside: %s", entry.object_key, reasons[entry.object_id])
    with workspace.engine.begin() as conn:
        ledger.set_aside(conn, entries, reasons)
