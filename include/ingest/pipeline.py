"""The steps of ingest, as the tasks of `ingest_logs` call them: small addresses in and out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from io import BytesIO
from typing import TypedDict

import polars as pl

from include.database import catalogue, ledger
from include.ingest import batches
from include.ingest.stage import read_batch, shapes_key
from include.ingest.validate import check_events, check_parsed, ledger_entry, report_page
from include.ingest.write import (
    checked_rows,
    lake_parts,
    load_written,
    template_counts,
    write_events,
)
from include.workspace import Workspace
from ml.templates import merge_shapes

log = logging.getLogger(__name__)


class BatchAddress(TypedDict):
    source: str
    batch_id: str


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


def validate_batches(workspace: Workspace, staged: list[BatchAddress]) -> list[str]:
    """Set aside the objects that cannot be read or fail a critical check; their ids."""
    manifests = _manifests(workspace, staged)
    unreadable = {
        account.object.object_id: account.failure
        for manifest in manifests
        for account in manifest.accounts
        if account.failure is not None
    }
    refused = unreadable | check_parsed(workspace, manifests)
    _set_aside(workspace, manifests, refused)
    return sorted(refused)


def learn_templates(workspace: Workspace, staged: list[BatchAddress]) -> list[BatchAddress]:
    """Extend the catalogues by the shapes of the staged batches; pass the batches on.

    The one step that is not parallel: it sees only distinct shapes, which are few.
    """
    by_source: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for address in staged:
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
    return staged


def write_batch(workspace: Workspace, source: str, batch_id: str) -> BatchAddress:
    """Write a batch's events to the lake, where nobody sees them yet."""
    with workspace.engine.connect() as conn:
        known_templates = catalogue.load_catalogue(conn, source, workspace.source(source).masks)
    write_events(workspace, batches.load_manifest(workspace, batch_id), known_templates)
    return BatchAddress(source=source, batch_id=batch_id)


def publish_batches(workspace: Workspace, written: list[BatchAddress], set_aside: list[str]) -> int:
    """Commit the written objects that were not set aside to the ledger; how many events."""
    refused_before = set(set_aside)  # fails where the validation did, and there is no list
    manifests = _manifests(workspace, written)
    of_batch = {each.batch.batch_id: load_written(workspace, each.batch) for each in manifests}
    accounts = {
        each.batch.batch_id: [
            account for account in each.readable if account.object.object_id not in refused_before
        ]
        for each in manifests
    }
    rows = [row for key, of_key in accounts.items() for row in checked_rows(of_key, of_batch[key])]
    refused = check_events(workspace, manifests, rows)
    _set_aside(workspace, manifests, refused)
    events = 0
    for manifest in manifests:
        batch = manifest.batch
        entries = [
            ledger_entry(manifest, account)
            for account in accounts[batch.batch_id]
            if account.object.object_id not in refused
        ]
        ids = [entry.object_id for entry in entries]
        of_entries = of_batch[batch.batch_id].filter(pl.col("object_id").is_in(ids))
        parts, counts = lake_parts(batch, of_entries), template_counts(of_entries)
        with workspace.engine.begin() as conn:
            ledger.commit_batch(conn, entries, parts, counts)
        events += sum(entry.events for entry in entries)
    return events


def report_of(layer: str, found: Iterable[BatchAddress]) -> str:
    """Where the Data Docs of a layer of these batches lie, below all of them."""
    return report_page(layer, [address["batch_id"] for address in found])


def clear_staging(workspace: Workspace) -> None:
    batches.clear_staging(workspace)


def _manifests(workspace: Workspace, found: list[BatchAddress]) -> list[batches.Manifest]:
    return [batches.load_manifest(workspace, address["batch_id"]) for address in found]


def _set_aside(
    workspace: Workspace, manifests: list[batches.Manifest], reasons: dict[str, str]
) -> None:
    """Record these objects with the reason for each id; they stay where they are."""
    entries = [
        ledger_entry(manifest, account)
        for manifest in manifests
        for account in manifest.accounts
        if account.object.object_id in reasons
    ]
    for entry in entries:
        log.warning("%s is set aside: %s", entry.object_key, reasons[entry.object_id])
    with workspace.engine.begin() as conn:
        ledger.set_aside(conn, entries, reasons)
