"""Monitoring on real servers: what asks for a retrain, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from include import monitoring
from include.alerting import AlertsFailed
from include.database import Connection, labels
from include.database import monitoring as tables
from include.database.labels import LabelRow
from include.scoring import score_night
from include.workspace import Workspace, open_workspace
from services.simulator import simulate
from tests.include.database.test_alerting import WebServer, running

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
SECOND = FIRST + DAY
SOURCE = """
name: {name}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
masks: ['req=[0-9a-f]+', '[a-z]+/[0-9a-f]+\\.bin']
"""

Ingest = Callable[[Workspace, str], int]
Crown = Callable[..., str]
Rows = dict[str, sa.RowMapping]


@pytest.fixture
def name(workspace: Workspace, request: pytest.FixtureRequest) -> str:
    """A source of this test's own."""
    own = "m_" + request.node.name.removeprefix("test_").split("[")[0][:40]
    Path(workspace.settings.sources_path, f"{own}.yaml").write_text(SOURCE.format(name=own))
    return own


@pytest.fixture
def space(name: str) -> Workspace:
    open_workspace.cache_clear()
    return open_workspace()


def put(space: Workspace, name: str, key: str, data: bytes) -> None:
    space.store.put_bytes(space.settings.bucket_logs, f"{name}/{key}", data)


def lines(day: datetime, count: int, message: str, first: int = 0) -> bytes:
    """Sessions of one line, spread over a day up to an hour before it ends."""
    moments = ((n, day + n * 23 * DAY / 24 / count) for n in range(count))
    return "".join(
        f"{moment:%Y-%m-%d %H:%M:%S},000 INFO a.B: req={first + n:08x} {message}\n"
        for n, moment in moments
    ).encode()


def monitored(space: Workspace, name: str, day: datetime) -> tuple[str | None, Rows]:
    """What is found of a day, and its rows."""
    finding = monitoring.monitor_day(space, name, day.date().isoformat())
    return finding["reason"], rows_of(space, name, day.date())


def rows_of(space: Workspace, name: str, day: date) -> Rows:
    query = sa.text(
        "SELECT ctid::text AS place, * FROM loganalyzer.monitoring "
        "WHERE source = :name AND day = :day"
    )
    with space.engine.connect() as conn:
        found = conn.execute(query, {"name": name, "day": day}).mappings()
        return {row["measure"]: row for row in found}


def past(rows: Rows) -> set[str]:
    return {measure for measure, row in rows.items() if row["is_past"]}


class TestSampleLogs:
    """Two days of the sample service, the first of them learnt."""

    @pytest.fixture(autouse=True)
    def _learnt(
        self, space: Workspace, name: str, ingest: Ingest, crown: Crown, tmp_path: Path
    ) -> None:
        written = simulate(tmp_path / "samples", FIRST.date(), days=2)
        for path in written.files:
            put(space, name, str(path.relative_to(written.folder)), path.read_bytes())
        ingest(space, name)
        crown(space, name, FIRST, SECOND)

    def test_a_day_asks_for_nothing_be_there_incidents_or_not_and_again_changes_no_row(
        self, space: Workspace, name: str
    ) -> None:
        for day in (FIRST, SECOND):
            reason, rows = monitored(space, name, day)
            assert (reason, past(rows)) == (None, set())
            assert {row["model_version"] for row in rows.values()} == {"1", None}
            assert len(rows) == 8
            assert monitored(space, name, day) == (reason, rows)
        assert 2000 < rows["template_drift"]["rests_on"] < rows["unseen_templates"]["rests_on"]
        assert 0 < rows["unseen_templates"]["value"] < rows["unseen_templates"]["bound"]

    def test_a_release_asks_for_a_retrain_which_mends_it(
        self, space: Workspace, name: str, ingest: Ingest, crown: Crown
    ) -> None:
        put(space, name, "released.log", lines(SECOND, 2000, "cache warmed for tenant"))
        ingest(space, name)
        reason, rows = monitored(space, name, SECOND)
        assert {"unseen_templates", "template_drift"} <= past(rows)
        assert reason is not None
        assert reason.count("version 1 learnt") == len(past(rows))
        crown(space, name, FIRST, SECOND + DAY)
        reason, rows = monitored(space, name, SECOND)
        assert (reason, past(rows)) == (None, set())
        assert rows["unseen_templates"]["model_version"] == "2"

    def test_alerts_that_people_call_normal_ask_for_a_retrain(
        self, space: Workspace, name: str
    ) -> None:
        score_night(space, name, SECOND.isoformat(), (SECOND + DAY).isoformat())
        query = sa.text(
            "SELECT session_key FROM loganalyzer.anomalies WHERE source = :name "
            "AND session_key IS NOT NULL ORDER BY session_key"
        )
        _, rows = monitored(space, name, SECOND)
        assert rows["false_alerts"]["value"] is None
        # Five incidents in a night of seven: more than was promised, but no fault of the threshold.
        assert rows["alert_budget"]["value"] > 2
        assert "alert_budget" not in past(rows)
        with space.engine.begin() as conn:
            higher = (
                "UPDATE loganalyzer.scorings SET threshold = threshold + 1 WHERE source = :name"
            )
            conn.execute(sa.text(higher), {"name": name})
        with running(WebServer()) as web:
            hook = {"alert_webhook_url": SecretStr(web.url("/hook"))}
            telling = replace(space, settings=space.settings.model_copy(update=hook))
            web.refused.add("/hook")
            with pytest.raises(AlertsFailed, match="503"):
                monitored(telling, name, SECOND)
            web.refused.clear()
            for _ in range(2):
                reason, rows = monitored(telling, name, SECOND)
            # It promised ten times less; no retrain is asked for, as it may be an incident.
            assert (reason, "alert_budget" in past(rows)) == (None, True)
            ((_, told, _),) = web.posts
        assert told["title"] == f"{name}: more alerts than its threshold promises"
        assert "where the threshold promised" in told["reason"]
        with space.engine.begin() as conn:
            flagged = conn.scalars(query, {"name": name}).all()
            self.judge(conn, name, flagged[:5], is_anomalous=False)
        _, rows = monitored(space, name, SECOND)
        assert rows["false_alerts"]["value"] == 1.0
        assert not rows["false_alerts"]["is_past"], "five say too little"
        with space.engine.begin() as conn:
            self.judge(conn, name, flagged[5:45], is_anomalous=False)
            self.judge(conn, name, flagged[45:50], is_anomalous=True)
        reason, _ = monitored(space, name, SECOND)
        assert reason == "45 of 50 alerts that people judged are normal"

    @staticmethod
    def judge(conn: Connection, name: str, keys: list[str], *, is_anomalous: bool) -> None:
        rows = [LabelRow(key, None, None, is_anomalous) for key in keys]
        labels.import_labels(conn, name, rows, "ann", "looked at")

    def test_an_old_champion_asks_for_a_retrain_on_a_day_without_windows_too(
        self, space: Workspace, name: str
    ) -> None:
        reason, rows = monitored(space, name, datetime.now(UTC) + 29 * DAY)
        assert (reason, past(rows)) == (None, set())
        reason, rows = monitored(space, name, datetime.now(UTC) + 31 * DAY)
        assert past(rows) == {"champion_age"}
        assert reason is not None
        assert reason.startswith("version 1 was registered 3")
        assert "template_drift" not in rows


def test_without_a_champion_volume_and_parse_failures_are_told_and_ask_for_nothing(
    space: Workspace, name: str, ingest: Ingest
) -> None:
    for n, events in enumerate([40, 30, 50, 60, 5]):
        put(space, name, f"{n}.log", lines(FIRST + n * DAY, events, "all is well", first=100 * n))
    put(space, name, "odd.log", lines(FIRST, 30, "all is well", first=900) + 10 * b"no log line\n")
    ingest(space, name)
    told = [monitored(space, name, FIRST + n * DAY) for n in range(6)]
    assert {reason for reason, _ in told} == {None}
    assert {frozenset(rows) for _, rows in told} == {frozenset({"volume", "parse_failures"})}
    volumes = [rows["volume"]["value"] for _, rows in told]
    assert volumes == [None, None, None, 60 / 50, 5 / 55, 0.0]
    assert [past(rows) for _, rows in told] == [
        {"parse_failures"}, set(), set(), set(), {"volume"}, {"volume"}
    ]  # fmt: skip
    assert told[0][1]["parse_failures"]["value"] == 10 / 80
    assert told[5][1]["parse_failures"]["value"] is None


class TestRequests:
    """A request is made, then recorded once its event has gone out."""

    NOW = datetime.now(UTC)

    def ask(self, space: Workspace, source: str, moment: datetime) -> bool:
        request = monitoring.request_for(space, source, "2026-03-02", "it drifted", moment)
        if request:
            monitoring.record_requests(space, [request])
            monitoring.record_requests(space, [request])
        return request is not None

    def asked(self, space: Workspace, source: str) -> list[datetime]:
        query = sa.text(
            "SELECT asked_at FROM loganalyzer.retrain_requests WHERE source = :source ORDER BY 1"
        )
        with space.engine.connect() as conn:
            return list(conn.scalars(query, {"source": source}))

    def test_once_in_24_hours_whatever_runs_there_are(self, space: Workspace) -> None:
        on_time = self.NOW - timedelta(minutes=20)
        for moment, expected in [
            (on_time, True),
            (on_time, False),  # a rerun
            (self.NOW, False),  # by hand
            (self.NOW - 3 * DAY, False),  # a backfill
        ]:
            assert self.ask(space, "r_once", moment) == expected
        assert self.asked(space, "r_once") == [on_time]
        assert self.ask(space, "r_other", on_time)

    def test_nightly_runs_are_a_day_apart_however_long_their_steps_take(
        self, space: Workspace
    ) -> None:
        planned = self.NOW - timedelta(minutes=20)
        self.record(space, "r_nightly", planned - DAY)
        assert self.ask(space, "r_nightly", planned)

    def test_a_backfill_counts_as_of_now(self, space: Workspace) -> None:
        assert self.ask(space, "r_backfill", self.NOW - 9 * DAY)
        assert not self.ask(space, "r_backfill", self.NOW - 8 * DAY)
        assert self.asked(space, "r_backfill")[0] >= self.NOW

    @staticmethod
    def record(space: Workspace, source: str, moment: datetime) -> None:
        with space.engine.begin() as conn:
            tables.record_request(conn, source, moment, moment.date(), "it drifted")
