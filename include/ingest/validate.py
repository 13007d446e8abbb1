"""The checks of ingest: every object of a run against the suites of `include.quality`.

All batches of a run are checked at once: importing Great Expectations takes longer than checking.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from hashlib import sha256

from include.database import ledger, validations
from include.ingest.batches import Manifest, ObjectAccount
from include.quality import DOCS, QualityReport, check, page_of
from include.quality.suites import severity_shift, volume_ratio
from include.workspace import Workspace

# How far back the usual volume of an hour is looked for.
HISTORY = timedelta(days=14)


def check_parsed(workspace: Workspace, manifests: Sequence[Manifest]) -> dict[str, str]:
    """Check the objects that could be read; the refused ones, by id, with the reason."""
    by_source: dict[str, list[ObjectAccount]] = {}
    for manifest in manifests:
        accounts = [account for account in manifest.readable if account.lines_read]
        by_source.setdefault(manifest.batch.source, []).extend(accounts)
    rows = [
        row
        for source, accounts in by_source.items()
        if accounts
        for row in _parsed_rows(workspace, source, accounts)
    ]
    return _kept(workspace, manifests, check("parsed", rows)) if rows else {}


def _parsed_rows(
    workspace: Workspace, source: str, accounts: Sequence[ObjectAccount]
) -> list[dict[str, object]]:
    """The table of the suite `parsed`, one row an object."""
    hours = [hour for account in accounts for hour in account.hourly_events]
    with workspace.engine.connect() as conn:
        usual = ledger.severity_counts(conn, source)
        history = (
            ledger.object_volumes(conn, source, min(hours) - HISTORY, max(hours)) if hours else {}
        )
    return [
        {
            "object_id": account.object.object_id,
            "parsed_share": 1 - account.lines_quarantined / account.lines_read,
            "events_without_time": account.events_without_time,
            "events_without_message": account.events_without_message,
            "events_in_the_future": account.events_in_the_future,
            "severity_shift": severity_shift(account.severities, usual),
            "volume_ratio": volume_ratio(account.hourly_events, history),
        }
        for account in accounts
    ]


def check_events(
    workspace: Workspace, manifests: Sequence[Manifest], rows: Sequence[dict[str, object]]
) -> dict[str, str]:
    """Check what was written for each object; the refused ones, by id, with the reason."""
    return _kept(workspace, manifests, check("events", rows)) if rows else {}


def _kept(
    workspace: Workspace, manifests: Sequence[Manifest], report: QualityReport
) -> dict[str, str]:
    """Keep the results as rows and as pages, and give back what is refused."""
    of_object = {
        member.object_id: (manifest.batch, member.key)
        for manifest in manifests
        for member in manifest.batch.objects
    }
    rows = []
    for result in report.results:
        batch, key = of_object[result.object_id]
        rows.append(
            validations.ValidationRow(
                source=batch.source,
                batch_id=batch.batch_id,
                object_id=result.object_id,
                object_key=key,
                layer=result.layer,
                expectation=result.expectation,
                severity=result.severity,
                passed=result.passed,
                reason=result.reason,
            )
        )
    with workspace.engine.begin() as conn:
        validations.record(conn, rows)
    layer = report.results[0].layer
    for path, content in report.pages.items():
        key = f"{DOCS}/{_run_id(_batch_ids(manifests))}/{layer}/{path}"
        workspace.store.put_bytes(workspace.settings.bucket_docs, key, content)
    return report.refused


def report_page(layer: str, batch_ids: Iterable[str]) -> str:
    """Where below `DOCS` the report of a layer lies, if any object of these batches was checked."""
    return f"{_run_id(batch_ids)}/{layer}/{page_of(layer)}"


def _batch_ids(manifests: Sequence[Manifest]) -> list[str]:
    return [manifest.batch.batch_id for manifest in manifests]


def _run_id(batch_ids: Iterable[str]) -> str:
    """The same for the same batches, so that pages of a second run replace those of the first."""
    return sha256("".join(sorted(batch_ids)).encode()).hexdigest()[:16]


def ledger_entry(manifest: Manifest, account: ObjectAccount) -> ledger.LedgerEntry:
    return ledger.LedgerEntry(
        object_id=account.object.object_id,
        source=manifest.batch.source,
        object_key=account.object.key,
        etag=account.object.etag,
        size_bytes=account.object.size_bytes,
        lines_read=account.lines_read,
        events=account.events,
        lines_continued=account.lines_continued,
        lines_quarantined=account.lines_quarantined,
        quarantine_reasons=account.quarantine_reasons,
        severities=account.severities,
        first_event_utc=account.first_event_utc,
        last_event_utc=account.last_event_utc,
        batch_id=manifest.batch.batch_id,
    )
