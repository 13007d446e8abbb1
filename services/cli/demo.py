"""demo: logs in, anomalies out, on the embedded stack."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli import anomalies
from services.cli.common import Exit, console, fail, stack_folder, told_errors, workspace
from services.cli.pipeline import run_dag, verdicts_of
from services.cli.stack import print_addresses, start

if TYPE_CHECKING:
    from include.objects import ObjectStore
    from include.sources import LogSource
    from include.workspace import Workspace
    from services.simulator import Simulation

DAYS = 5
# A demonstration is quick; what the form's defaults train takes some minutes more.
QUICK = {"families": ["novelty"], "trials": 4}
SAMPLE_SOURCE = "storage"
DAY = timedelta(days=1)
SHOWN, SHOWN_PER_REASON = 25, 3


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    logs: Annotated[
        Path | None,
        typer.Option(exists=True, help="A log file or a folder of them; sample logs if not given."),
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="The line format of --logs; recognised if not given.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="What to call the source of --logs; its file name if not given."),
    ] = None,
) -> None:
    """Start the stack, take logs through ingest, training and scoring, and print what is strange.

    Examples:

    loganalyzer demo

    loganalyzer demo --logs /var/log/app --format log4j
    """
    with told_errors():
        if logs is None:
            _sample_demo()
        else:
            _own_demo(logs, format, name)


def _sample_demo() -> None:
    from services.simulator import simulate

    today = datetime.now(UTC).date()
    first_day = today - DAYS * DAY
    console.rule("sample logs")
    simulation = simulate(stack_folder() / "samples" / str(first_day), first_day, DAYS)
    console.print(
        f"  {simulation.lines:,} lines of a storage service, {first_day} to {today - DAY}, "
        f"with {len(simulation.incidents)} incidents on the last day"
    )
    console.rule("stack")
    state = start()
    space = workspace()
    uploaded = _upload(space.store, space.settings.bucket_logs, _keyed(simulation))
    console.print(
        f"  {uploaded} of {len(simulation.files)} objects uploaded, the others were there"
    )
    night = today - DAY
    console.rule("Airflow")
    run_dag("ingest_logs", {"source": SAMPLE_SOURCE})
    end = datetime.combine(night, datetime.min.time(), UTC)
    start_of_period = end - (DAYS - 1) * DAY
    _tell_what_is_known(space, start_of_period, end)
    run_id = run_dag(
        "train_detectors",
        {
            "source": SAMPLE_SOURCE,
            "period_start": start_of_period.isoformat(),
            "period_end": end.isoformat(),
            **QUICK,
        },
    )
    _tell_verdict(run_id)
    run_dag("score_nightly", {"source": SAMPLE_SOURCE, "first_day": str(night)})
    rows = _rows(space, SAMPLE_SOURCE, night, night)
    _show(rows, f"in the night of {night}")
    _compare(simulation, rows)
    print_addresses(state)


def _tell_what_is_known(space: Workspace, start: datetime, end: datetime) -> None:
    """That the days before the last are normal: so they were made."""
    from include.database import labels

    known = labels.LabelRow(None, start, end, is_anomalous=False)
    with space.engine.begin() as conn:
        labels.import_labels(conn, SAMPLE_SOURCE, [known], "demo", "incidents come on the last day")
    console.print(f"  labelled as normal: {start:%Y-%m-%d} to {end:%Y-%m-%d}", highlight=False)


def _own_demo(logs: Path, line_format: str | None, name: str | None) -> None:
    from include.database import ledger

    files = [logs] if logs.is_file() else sorted(path for path in logs.rglob("*") if path.is_file())
    if not files:
        fail(f"{logs} holds no files", Exit.USAGE)
    source = _own_source(logs, files[0], line_format, name)
    console.rule("stack")
    state = start()
    space = workspace()
    root = logs.parent if logs.is_file() else logs
    keyed = ((f"{source.prefix}{path.relative_to(root)}", path) for path in files)
    uploaded = _upload(space.store, space.settings.bucket_logs, keyed)
    console.print(f"  {uploaded} of {len(files)} objects uploaded, the others were there")
    console.rule("Airflow")
    run_dag("ingest_logs", {"source": source.name})
    with space.engine.connect() as conn:
        span = ledger.span_of_events(conn, source.name)
    if span is None:
        fail(f"nothing of {logs} could be read: see `loganalyzer sources list`")
    first, last = (moment.date() for moment in span)
    if first < last:
        midnight = datetime.combine(last, datetime.min.time(), UTC)
        period = {"period_start": span[0].isoformat(), "period_end": midnight.isoformat()}
        run_id = run_dag("train_detectors", {"source": source.name, **QUICK, **period})
        _tell_verdict(run_id)
    # Windows close some time after their last event, sessions after their idle timeout.
    closed = (span[1] + source.windowing.rule.lookback).date()
    run_dag(
        "score_nightly", {"source": source.name, "first_day": str(last), "last_day": str(closed)}
    )
    rows = _rows(space, source.name, last, closed)
    _show(rows, f"since {last}")
    print_addresses(state)


def _tell_verdict(run_id: str) -> None:
    verdicts = verdicts_of(run_id)
    for verdict in verdicts:
        console.print(f"  {verdict['reason']}", highlight=False, markup=False)
    if not verdicts:
        console.print("  too few logs to train on: the night is judged by what came before it")


def _own_source(logs: Path, example: Path, line_format: str | None, name: str | None) -> LogSource:
    """The source of a user's own files, proposed and written down where Airflow finds it."""
    from include.sources import dump_source
    from include.sources.detect import propose_source, source_name

    proposal = propose_source(example, name or source_name(logs), line_format)
    path = stack_folder() / "sources" / f"{proposal.source.name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_source(proposal.source))
    console.rule(f"source {proposal.source.name}")
    console.print(
        f"  {proposal.share_parsed:.1%} of the lines of {example.name} read as "
        f"{proposal.format_name}; written to {path}",
        highlight=False,
    )
    return proposal.source


def _keyed(simulation: Simulation) -> Iterable[tuple[str, Path]]:
    return ((str(path.relative_to(simulation.folder)), path) for path in simulation.files)


def _upload(store: ObjectStore, bucket: str, keyed: Iterable[tuple[str, Path]]) -> int:
    """Put the files that are not there yet, by content; how many those were."""
    wanted = list(keyed)
    prefix = wanted[0][0].split("/")[0] + "/"
    there = {item.key: item.etag for item in store.list(bucket, prefix)}
    count = 0
    for key, path in wanted:
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if there.get(key) != digest:
            store.put_bytes(bucket, key, path.read_bytes())
            count += 1
    return count


def _show(rows: list[dict[str, Any]], when: str) -> None:
    """The oddest rows, but no reason over and over: one incident would fill the screen."""
    told: Counter[str] = Counter()
    varied = []
    for row in rows:
        kind = re.sub(r"\d+", "", row["reason"])
        told[kind] += 1
        if told[kind] <= SHOWN_PER_REASON:
            varied.append(row)
    shown = varied[:SHOWN]
    anomalies.show(shown, f"{len(rows)} anomalies {when}, {len(shown)} of them")


def _rows(space: Workspace, source: str, first: date, last: date) -> list[dict[str, Any]]:
    from include.database import anomalies as table

    with space.engine.connect() as conn:
        return table.query(conn, source, first, last)


def _compare(simulation: Simulation, rows: list[dict[str, Any]]) -> None:
    """How many of the incidents that were put in are among the anomalies."""
    flagged = {row["session"] for row in rows}
    odd_hours = [row for row in rows if row["session"] is None]
    injected = {session for incident in simulation.incidents for session in incident.sessions}
    found = 0
    for incident in simulation.incidents:
        hits = len(flagged & set(incident.sessions))
        if not incident.sessions:
            hits = sum(
                row["time"] < incident.ends_at and row["window_end"] > incident.starts_at
                for row in odd_hours
            )
        found += hits > 0
        mark = "[green]found[/]" if hits else "[red]not found[/]"
        sessions = (
            f"{hits} of {len(incident.sessions)} sessions"
            if incident.sessions
            else "an hour without lines"
        )
        console.print(f"  {mark}: {incident.kind}, {incident.description} ({sessions})")
    console.print(
        f"{found} of {len(simulation.incidents)} injected incidents found; "
        f"{len(flagged - injected - {None})} other sessions flagged"
    )
