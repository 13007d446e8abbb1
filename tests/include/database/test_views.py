"""The views for people, each on rows that say what must come out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from include.database import Connection, anomalies, ledger, monitoring
from include.database.feedback import Subject
from include.database.models import Coverage, Source
from include.database.monitoring import Measurement
from tests.include.database.test_feedback import (
    DAY,
    MONDAY,
    SCORING,
    SLOW,
    anomaly,
    nights,
    say,
    score,
)
from tests.include.database.test_ledger import entry, publish


def view(conn: Connection, name: str) -> list[dict[str, Any]]:
    return [
        dict(row) for row in conn.execute(sa.text(f"SELECT * FROM loganalyzer.{name}")).mappings()
    ]


def templates(conn: Connection, *ids: str) -> None:
    insert = sa.text(
        "INSERT INTO loganalyzer.template_catalogue (template_id, source, text, body, version) "
        "VALUES (:id, 'disk', :id, '', 1)"
    )
    conn.execute(insert, [{"id": each} for each in ids])


def test_the_noisiest_template_comes_first_and_one_that_nobody_minds_not_at_all(
    conn: Connection,
) -> None:
    templates(conn, "ab12", "cd34", "ef56", "fine")
    nights(conn, 0, 3)
    score(conn, 5, anomaly("a", MONDAY + 5 * DAY, SLOW))
    score(conn, 6, anomaly("b", MONDAY + 6 * DAY, "new:fine"))
    say(conn, Subject("disk", window_id="w1"))
    say(conn, Subject("disk", window_id="w0"), "true")
    say(conn, Subject("disk", window_id="a"))
    rows = view(conn, "noisy_templates")
    told = {
        row["template_id"]: (
            row["anomalies"],
            row["judged_false"],
            row["judged_true"],
            row["muted"],
        )
        for row in rows
    }
    # The newest word on w0 to w2 is that they are real: none of them is muted any more.
    assert told == {"ab12": (4, 2, 1, 1), "cd34": (1, 1, 0, 1), "ef56": (1, 1, 0, 1)}
    assert [row["template_id"] for row in rows] == ["ab12", "cd34", "ef56"]
    assert rows[0]["noisy_share"] == 0.5


def test_each_source_is_one_row_whatever_is_known_of_it(conn: Connection) -> None:
    conn.execute(
        sa.insert(Source).values(
            source="silent", prefix="silent/", format="hdfs", windowing="time", description=""
        )
    )
    publish(conn, entry("a.log"), entry("b.log"))
    found = [anomaly("a", MONDAY), anomaly("b", MONDAY, SLOW)]
    score(conn, 0, *found)
    score(conn, 1, *found)
    say(conn, Subject("disk", window_id="a"))
    past = Measurement("disk", MONDAY.date(), "volume", 9.0, 2.0, True, "1", 10, "nine times more")
    fine = replace(past, measure="parse_failures", is_past=False, reason="fine")
    monitoring.replace_day(conn, "disk", MONDAY.date(), [past, fine])
    disk, silent = view(conn, "source_health")
    assert disk["source"] == "disk"
    assert disk["quarantined_share"] == 0.1
    assert (disk["last_night"], disk["model_version"]) == (MONDAY + DAY, "1")
    assert (disk["anomalies"], disk["muted"]) == (1, 1)
    assert disk["past_bounds"] == "volume: nine times more"
    assert (silent["source"], silent["last_ingest_at"], silent["last_night"]) == (
        "silent",
        None,
        None,
    )


@pytest.mark.parametrize("is_muted", [False, True])
def test_a_night_without_logs_does_not_look_like_one_without_anomalies(
    conn: Connection, is_muted: bool
) -> None:
    quiet = {
        "source": "disk", "interval_start": MONDAY, "interval_end": MONDAY + DAY,
        "objects_arrived": 3, "objects_late": 0, "objects_set_aside": 0, "lines_read": 10,
        "events": 10, "lines_quarantined": 0, "verdict": "passed", "windows": 9, "anomalies": 1,
        "state": "scored", "reason": "all was judged", "objects_seen": "",
    }  # fmt: skip
    silent = quiet | {
        "interval_start": MONDAY + DAY, "interval_end": MONDAY + 2 * DAY, "objects_arrived": 0,
        "windows": 0, "anomalies": 0, "state": "not_scored", "reason": "no logs arrived",
    }  # fmt: skip
    for row in (quiet, silent):
        conn.execute(sa.insert(Coverage).values(row))
    nights(conn, 0, 1)
    if is_muted:
        say(conn, Subject("disk", window_id="w0"))
    second, first = view(conn, "nights")
    assert (first["state"], first["anomalies"], first["muted"]) == (
        "scored",
        int(not is_muted),
        int(is_muted),
    )
    assert (second["state"], second["anomalies"], second["reason"]) == (
        "not_scored",
        0,
        "no logs arrived",
    )


def test_what_another_version_says_stands_beside_what_was_said(conn: Connection) -> None:
    score(conn, 0, anomaly("both", MONDAY), anomaly("then", MONDAY))
    other = replace(SCORING, model_version="2", is_comparison=True, scored_at=MONDAY + 9 * DAY)
    now = replace(anomaly("now", MONDAY), score=2.5, reason="slow")
    anomalies.replace_interval(conn, other, [replace(anomaly("both", MONDAY), score=1.5), now])
    told = {
        row["window_id"]: (row["model_version"], row["score"], row["other_version"],
                           row["other_score"], row["other_reason"])
        for row in view(conn, "second_opinions")
    }  # fmt: skip
    assert told == {
        "both": ("1", 0.9, "2", 1.5, "never seen: Disk <*> full"),
        "then": ("1", 0.9, "2", None, None),
        "now": ("1", None, "2", 2.5, "slow"),
    }


def test_the_lines_of_an_anomaly_are_rows(conn: Connection) -> None:
    lines = [{"object_key": f"{key}.log", "line_number": 3} for key in "ba"]
    score(conn, 0, replace(anomaly("w0", MONDAY), lines=lines), anomaly("w1", MONDAY))
    assert [
        (row["window_id"], row["place"], row["object_key"], row["line_number"])
        for row in view(conn, "anomaly_lines")
    ] == [("w0", 1, "b.log", 3), ("w0", 2, "a.log", 3)]


def test_quarantined_lines_are_told_by_reason_and_superseded_objects_left_out(
    conn: Connection,
) -> None:
    publish(conn, entry("a.log"), entry("b.log", source="net"))
    publish(conn, entry("a.log", etag="2"))
    ledger.set_aside(conn, [bad := entry("c.log")], {bad.object_id: "no log at all"})
    told = {
        row["source"]: (row["reason"], row["lines"], row["objects"], row["example_object"])
        for row in view(conn, "quarantined_lines")
    }
    assert told == {
        "disk": ("no time", 2, 2, "a.log"),
        "net": ("no time", 1, 1, "b.log"),
    }
