"""The checks of ingest: each object of a batch against the suites of `include.quality`."""

from __future__ import annotations

from datetime import timedelta

from include.database import ledger, validations
from include.ingest.batches import Manifest, ObjectAccount
from include.quality import QualityReport, check
from include.quality.suites import severity_shift, volume_ratio
from include.workspace import Workspace

# How far back the usual volume of an hour is looked for.
HISTORY = timedelta(days=14)


def check_parsed(workspace: Workspace, manifest: Manifest) -> dict[str, str]:
    """Check the objects that could be read; the refused ones, by id, with the reason."""
    source = manifest.batch.source
    accounts = [account for account in manifest.readable if account.lines_read]
    hours = [hour for account in accounts for hour in account.hourly_events]
    if not accounts:
        return {}
    with workspace.engine.connect() as conn:
        usual = ledger.severity_counts(conn, source)
        history = (
            ledger.object_volumes(conn, source, min(hours) - HISTORY, max(hours)) if hours else {}
        )
    rows = [
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
    return _kept(workspace, manifest, check("parsed", rows))


def check_events(
    workspace: Workspace, manifest: Manifest, rows: list[dict[str, object]]
) -> dict[str, str]:
    """Check what was written for each object; the refused ones, by id, with the reason."""
    return _kept(workspace, manifest, check("events", rows)) if rows else {}


def _kept(workspace: Workspace, manifest: Manifest, report: QualityReport) -> dict[str, str]:
    """Keep the results as rows and as pages, and give back what is refused."""
    batch = manifest.batch
    keys = {member.object_id: member.key for member in batch.objects}
    with workspace.engine.begin() as conn:
        validations.record(
            conn,
            [
                validations.ValidationRow(
                    source=batch.source,
                    batch_id=batch.batch_id,
                    object_id=result.object_id,
                    object_key=keys[result.object_id],
                    layer=result.layer,
                    expectation=result.expectation,
                    severity=result.severity,
                    passed=result.passed,
                    reason=result.reason,
                )
                for result in report.results
            ],
        )
    layer = report.results[0].layer
    for path, content in report.pages.items():
        key = f"quality/{batch.source}/{batch.batch_id}/{layer}/{path}"
        workspace.store.put_bytes(workspace.settings.bucket_docs, key, content)
    return report.refused


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
