"""Feedback: what mutes and confirms, what it would hide, and what training hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import Connection, anomalies, feedback, labels
from include.database.anomalies import Anomaly, Scoring
from include.database.feedback import Hidden, InvalidFeedback, Subject

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SCORING = Scoring(
    source="disk",
    interval_start=MONDAY,
    interval_end=MONDAY + DAY,
    model_name="disk",
    model_version="1",
    catalogue_version=0,
    detector="novelty",
    windows=100,
    events=1000,
    anomalies=2,
    threshold=0.5,
    scored_at=MONDAY + 2 * DAY,
)
FULL, SLOW = "new:ab12", "missing:cd34|order:ef56>ab12"
DISK = Subject("disk", window_id="w0")
INCIDENT = sa.text(
    "INSERT INTO loganalyzer.incidents (incident_id, title, reason, signature, sources, started_at,"
    " ended_at, first_night, last_night, anomalies, sessions, severity, score, state) "
    "SELECT 'i', 'disks', '', '', ARRAY['disk', 'net'], min(window_start), max(window_end), "
    "min(interval_start), max(interval_start), count(*), 2, 'high', 1, 'open' "
    "FROM loganalyzer.anomalies"
)
MEMBERS = sa.text(
    "INSERT INTO loganalyzer.incident_anomalies SELECT source, interval_start, interval_end, "
    "model_name, model_version, catalogue_version, window_id, 'i' FROM loganalyzer.anomalies"
)


def anomaly(
    window: str, at: datetime, signature: str = FULL, session: str | None = None
) -> Anomaly:
    return Anomaly(
        window_id=window,
        session_key=session,
        window_start=at,
        window_end=at + timedelta(minutes=5),
        score=0.9,
        threshold=0.5,
        severity="high",
        reason="never seen: Disk <*> full",
        explanation=[],
        lines=[],
        events=7,
        detector="rate" if signature.startswith("rate") else "novelty",
        signature=signature,
        sequence=[],
    )


def score(conn: Connection, night: int, *found: Anomaly, source: str = "disk") -> None:
    start = MONDAY + night * DAY
    scoring = replace(SCORING, source=source, interval_start=start, interval_end=start + DAY)
    anomalies.replace_interval(conn, scoring, found)


def nights(conn: Connection, first: int, last: int, signature: str = FULL) -> None:
    """A night of one anomaly each, at nine in the morning."""
    for night in range(first, last):
        at = MONDAY + night * DAY + timedelta(hours=9)
        score(conn, night, anomaly(f"w{night}", at, signature, f"s{night}"))


def say(
    conn: Connection, subject: Subject, verdict: str = "false", until: datetime | None = None
) -> int:
    (feedback_id,) = feedback.give(conn, subject, verdict, "a test", "ada", until)
    return feedback_id


def muted(conn: Connection, source: str = "disk") -> set[str]:
    query = sa.text(
        "SELECT window_id FROM loganalyzer.current_anomalies "
        "WHERE source = :source AND muted_by IS NOT NULL"
    )
    return set(conn.scalars(query, {"source": source}))


def test_a_false_alarm_does_not_come_back_and_what_was_shown_before_stays(conn: Connection) -> None:
    nights(conn, 0, 3)
    said = say(conn, Subject("disk", window_id="w1"))
    assert muted(conn) == {"w1", "w2"}
    assert [row["night"] for row in anomalies.query(conn, "disk")] == []
    nights(conn, 3, 5)
    score(conn, 3, anomaly("other", MONDAY + 3 * DAY, SLOW))
    score(conn, 4, anomaly("elsewhere", MONDAY + 4 * DAY), source="net")
    assert "other" not in muted(conn)
    assert muted(conn, "net") == set()
    (row,) = conn.execute(sa.text("SELECT * FROM loganalyzer.muted_anomalies")).mappings()
    assert (row["feedback_id"], row["author"], row["anomalies"]) == (said, "ada", 3)
    assert row["last_hidden_night"] == MONDAY + 4 * DAY


def test_a_mute_survives_another_model_and_another_catalogue(conn: Connection) -> None:
    nights(conn, 0, 1)
    say(conn, DISK)
    later = replace(
        SCORING, model_version="2", catalogue_version=7, scored_at=SCORING.scored_at + DAY
    )
    anomalies.replace_interval(conn, later, [anomaly("w9", MONDAY)])
    assert muted(conn) == {"w9"}


def test_what_is_expected_is_muted_within_its_time_only(conn: Connection) -> None:
    nights(conn, 0, 4)
    say(conn, DISK, "expected", MONDAY + 2 * DAY)
    assert muted(conn) == {"w0", "w1"}
    assert labels.labels_of(conn, "disk").is_empty()


def test_the_newest_word_counts_and_what_is_confirmed_is_shown_again(conn: Connection) -> None:
    nights(conn, 0, 3)
    say(conn, DISK)
    say(conn, Subject("disk", window_id="w1"), "true")
    assert muted(conn) == {"w0"}
    assert labels.labels_of(conn, "disk")["is_anomalous"].to_list() == [False, True]


def test_a_template_mutes_whatever_names_it_from_the_last_night_on(conn: Connection) -> None:
    for template in ("ab12", "cd34"):
        conn.execute(
            sa.text(
                "INSERT INTO loganalyzer.template_catalogue (template_id, source, text, body, "
                "version) VALUES (:id, 'disk', :id, '', 1)"
            ),
            {"id": template},
        )
    nights(conn, 0, 2)
    at = MONDAY + DAY
    found = [anomaly("a", at, SLOW), anomaly("b", at, "more:ab123"), anomaly("c", at, FULL)]
    score(conn, 1, *found)
    say(conn, Subject("disk", template_id="ab12"))
    assert muted(conn) == {"a", "c"}
    (row,) = conn.execute(
        sa.text("SELECT * FROM loganalyzer.noisy_templates WHERE template_id = 'cd34'")
    ).mappings()
    assert (row["anomalies"], row["muted"], row["judged_false"]) == (1, 1, 0)
    assert row["noisy_share"] == 1.0


def test_a_mute_of_an_anomaly_without_a_kind_mutes_nothing_else(conn: Connection) -> None:
    score(conn, 0, anomaly("w0", MONDAY, ""), anomaly("w1", MONDAY, ""))
    say(conn, DISK)
    assert muted(conn) == {"w0"}


def test_it_is_told_what_a_mute_would_have_hidden(conn: Connection) -> None:
    nights(conn, 0, 40)
    assert feedback.would_hide(conn, DISK) == Hidden(
        30, 0, "30 anomalies of the last 30 nights, none confirmed"
    )
    known = [labels.LabelRow("s39", None, None, True), labels.LabelRow("s38", None, None, False)]
    labels.import_labels(conn, "disk", known, "bob", "known")
    say(conn, Subject("disk", window_id="w37"), "true")
    hidden = feedback.would_hide(conn, DISK)
    assert (hidden.anomalies, hidden.confirmed) == (30, 2)
    assert hidden.told == "30 anomalies of the last 30 nights, 2 confirmed"
    say(conn, Subject("disk", window_id="w39"))
    assert feedback.would_hide(conn, DISK).told == (
        "29 anomalies of the last 30 nights, 1 confirmed"
    )


def test_a_session_or_a_span_is_labelled_and_a_rate_is_not(conn: Connection) -> None:
    start, end = MONDAY, MONDAY + timedelta(minutes=5, microseconds=1)
    found = [anomaly("span", MONDAY), anomaly("session", MONDAY, session="s")]
    score(conn, 0, *found, anomaly("rate@20260302T00", MONDAY, "rate:fall"))
    say(conn, Subject("disk", window_id="span"), "true")
    say(conn, Subject("disk", window_id="session"))
    rate = say(conn, Subject("disk", window_id="rate@20260302T00"))
    assert labels.labels_of(conn, "disk").rows() == [
        (None, start, end, True),
        ("s", None, None, False),
    ]
    muting = conn.execute(
        sa.text("SELECT muted_by, is_anomalous FROM loganalyzer.judged_anomalies WHERE night = :n "
                "AND window_id LIKE 'rate%'"),
        {"n": MONDAY},
    ).one()  # fmt: skip
    assert muting == (rate, False)


def test_an_incident_mutes_each_of_its_kinds_in_each_of_its_sources(conn: Connection) -> None:
    score(conn, 0, anomaly("a", MONDAY, session="s"), anomaly("b", MONDAY, SLOW, session="t"))
    score(conn, 0, anomaly("c", MONDAY, session="s"), source="net")
    conn.execute(INCIDENT)
    conn.execute(MEMBERS)
    incident = Subject(incident_id="i")
    assert feedback.would_hide(conn, incident).anomalies == 3
    said = feedback.give(conn, incident, "false", "a test", "ada")
    assert len(said) == 3
    score(conn, 1, anomaly("d", MONDAY + DAY, SLOW))
    score(conn, 1, anomaly("e", MONDAY + DAY, SLOW), source="net")
    assert (muted(conn), muted(conn, "net")) == ({"a", "b", "d"}, {"c"})
    assert labels.labels_of(conn, "disk").height == 2
    assert len(feedback.withdraw(conn, said[1], "a mistake", "ada")) == 3
    assert (muted(conn), muted(conn, "net")) == (set(), set())
    assert labels.labels_of(conn, "disk").is_empty()
    assert labels.labels_of(conn, "net").is_empty()


def test_a_label_that_says_the_same_keeps_its_author(conn: Connection) -> None:
    nights(conn, 0, 1)
    labels.import_labels(conn, "disk", [labels.LabelRow("s0", None, None, False)], "bob", "known")
    say(conn, DISK)
    authors = sa.text("SELECT author FROM loganalyzer.labels")
    assert conn.scalars(authors).all() == ["bob"]
    say(conn, DISK, "true")
    assert conn.scalars(authors).all() == ["ada"]


def test_a_golden_incident_is_not_called_false(conn: Connection) -> None:
    nights(conn, 0, 1)
    golden = [labels.LabelRow("s0", None, None, True)]
    labels.import_labels(conn, "disk", golden, "bob", "outage", golden=True)
    with pytest.raises(InvalidFeedback, match="s0 is a golden incident"), conn.begin_nested():
        say(conn, DISK)
    assert muted(conn) == set()
    assert labels.golden_labels_of(conn, "disk")["session_key"].to_list() == ["s0"]


def test_what_is_withdrawn_no_longer_holds_and_its_label_goes(conn: Connection) -> None:
    nights(conn, 0, 2)
    labels.import_labels(conn, "disk", [labels.LabelRow("s7", None, None, False)], "ada", "a test")
    said = say(conn, DISK)
    other = say(conn, Subject("disk", window_id="w1"))
    (row,) = feedback.withdraw(conn, said, "a mistake", "bob")
    assert [each["feedback_id"] for each in feedback.in_force(conn)] == [other]
    assert muted(conn) == {"w1"}
    assert labels.labels_of(conn, "disk")["session_key"].to_list() == ["s7", "s1"]
    refused = pytest.raises(InvalidFeedback, match=f"no feedback {said} is in force")
    with refused, conn.begin_nested():
        feedback.withdraw(conn, said, "again", "bob")
    kept = conn.execute(
        sa.text("SELECT verdict, author, withdraws FROM loganalyzer.feedback ORDER BY feedback_id")
    ).all()
    assert kept == [("false", "ada", None), ("false", "ada", None), ("withdrawn", "bob", said)]
    assert row > other


@pytest.mark.parametrize(
    ("subject", "verdict", "until", "message"),
    [
        (Subject("disk", window_id="no such"), "false", None, "no anomaly no such of disk"),
        (Subject("disk", template_id="no such"), "false", None, "no template no such of disk"),
        (Subject(incident_id="no such"), "false", None, "no incident no such"),
        (Subject("disk"), "false", None, "name one of"),
        (Subject("disk", window_id="w0", template_id="ab12"), "false", None, "name one of"),
        (Subject(window_id="w0"), "false", None, "name the source"),
        (DISK, "maybe", None, "no verdict 'maybe'"),
        (DISK, "expected", None, "say until when"),
        (DISK, "true", MONDAY, "say until when"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_said_is_refused_with_the_reason(
    conn: Connection, subject: Subject, verdict: str, until: datetime | None, message: str
) -> None:
    nights(conn, 0, 1)
    with pytest.raises(InvalidFeedback, match=message), conn.begin_nested():
        say(conn, subject, verdict, until)
    assert feedback.in_force(conn) == []


@pytest.mark.parametrize(("reason", "author"), [(" ", "ada"), ("a test", "")])
def test_a_reason_and_an_author_are_needed(conn: Connection, reason: str, author: str) -> None:
    nights(conn, 0, 1)
    with pytest.raises(InvalidFeedback, match="a reason and an author"), conn.begin_nested():
        feedback.give(conn, DISK, "true", reason, author)


def test_in_sql_the_author_is_the_login_where_none_is_named(conn: Connection) -> None:
    nights(conn, 0, 1)
    conn.execute(
        sa.text(
            "SELECT loganalyzer.give_feedback('false', 'it''s a test', source => 'disk', "
            "window_id => 'w0')"
        )
    )
    (row,) = conn.execute(
        sa.text("SELECT author, login, session_user FROM loganalyzer.feedback")
    ).all()
    assert row[0] == row[1] == row[2]
