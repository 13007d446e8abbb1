"""The tables of the schema `loganalyzer`. What each holds is also said in the database: `\\d+`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from include.database import SCHEMA

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    metadata = sa.MetaData(schema=SCHEMA, naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: sa.DateTime(timezone=True),
        str: sa.Text(),
        int: sa.BigInteger(),
        float: sa.Double(),
        dict[str, int]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        list[str]: JSONB(),
    }


def column(comment: str, **options: Any) -> Any:
    return mapped_column(comment=comment, **options)


class ObjectVersion(Table):
    __tablename__ = "events_ledger"
    __table_args__ = (
        sa.CheckConstraint(
            "lines_read = events + lines_continued + lines_quarantined", name="nothing_lost"
        ),
        sa.CheckConstraint("state IN ('ingested', 'set_aside', 'superseded')", name="state"),
        sa.UniqueConstraint("source", "object_key", "etag"),
        sa.Index(
            "uq_events_ledger_visible",
            "source",
            "object_key",
            unique=True,
            postgresql_where=sa.text("state = 'ingested'"),
        ),
        {
            "comment": "One row for each version of an object that was read: nothing lost, "
            "nothing twice"
        },
    )
    object_id: Mapped[str] = column("Hash of source, key and ETag", primary_key=True)
    source: Mapped[str] = column("Name of the log source")
    object_key: Mapped[str] = column("Key in the bucket of raw logs")
    etag: Mapped[str] = column("ETag: with the key it names the content")
    size_bytes: Mapped[int] = column("Size as stored")
    state: Mapped[str] = column(
        "ingested: visible in the lake; set_aside: refused whole, see reason; superseded: a newer "
        "version of the same key took its place"
    )
    reason: Mapped[str | None] = column("Why it was set aside")
    lines_read: Mapped[int] = column("Lines in the object")
    events: Mapped[int] = column("Log records")
    lines_continued: Mapped[int] = column("Lines that continue a record, and blank ones")
    lines_quarantined: Mapped[int] = column("Lines that did not parse")
    quarantine_reasons: Mapped[dict[str, int]] = column("Quarantined lines by reason")
    severities: Mapped[dict[str, int]] = column("Events by severity")
    first_event_utc: Mapped[datetime | None] = column("Earliest event time")
    last_event_utc: Mapped[datetime | None] = column("Latest event time")
    batch_id: Mapped[str] = column("The batch that it was read in")
    ingested_at: Mapped[datetime] = column("When it was committed", server_default=sa.func.now())


class LakePart(Table):
    __tablename__ = "lake_parts"
    __table_args__ = (
        sa.Index(None, "source", "hour_utc"),
        {"comment": "Which events of which objects are in which Parquet file: what readers see"},
    )
    path: Mapped[str] = column("Key in the bucket of the lake", primary_key=True)
    object_id: Mapped[str] = mapped_column(
        sa.ForeignKey(ObjectVersion.object_id, ondelete="CASCADE"),
        primary_key=True,
        index=True,
        comment="An object version that events in the file come from",
    )
    source: Mapped[str] = column("Name of the log source")
    hour_utc: Mapped[datetime] = column("Hour that all events in the file lie in")
    events: Mapped[int] = column("Events of the object in the file")


class Template(Table):
    __tablename__ = "template_catalogue"
    __table_args__ = (
        sa.Index(None, "source"),
        {"comment": "The template catalogue; an id never changes its meaning"},
    )
    template_id: Mapped[str] = column("Hash of source and first text", primary_key=True)
    source: Mapped[str] = column("Name of the log source")
    text: Mapped[str] = column("For people: variable parts as <*>")
    body: Mapped[str] = column("For the program: the exact form")
    name: Mapped[str | None] = column("What people call it")
    replaced_by: Mapped[str | None] = column("The template that it was merged into")
    version: Mapped[int] = column("Grows when the template is widened")
    created_at: Mapped[datetime] = column("When it was mined", server_default=sa.func.now())


class TemplateChange(Table):
    __tablename__ = "template_changes"
    __table_args__ = (
        sa.Index(None, "source", "template_id"),
        {"comment": "The life of each template; rows are only ever added"},
    )
    change_id: Mapped[int] = mapped_column(
        sa.Identity(), primary_key=True, comment="Row number, in order of time"
    )
    source: Mapped[str] = column("Name of the log source")
    template_id: Mapped[str] = column("The template")
    kind: Mapped[str] = column(
        "created, widened, merged, restored, renamed, split, pinned, unpinned or retired"
    )
    before: Mapped[str | None] = column("Its text before, or its name where it was renamed")
    after: Mapped[str | None] = column("The same afterwards")
    merged_into: Mapped[str | None] = column("The template that it was merged into")
    changed_by: Mapped[str] = column("Who did it: a person, or ingest")
    note: Mapped[str] = column("Why")
    changed_at: Mapped[datetime] = column("When", server_default=sa.func.now())


class TemplateCount(Table):
    __tablename__ = "template_counts"
    __table_args__ = (
        {"comment": "Events of each template in each object; the view templates adds up"},
    )
    object_id: Mapped[str] = mapped_column(
        sa.ForeignKey(ObjectVersion.object_id, ondelete="CASCADE"),
        primary_key=True,
        comment="The object version",
    )
    template_id: Mapped[str] = column("The template", primary_key=True, index=True)
    count: Mapped[int] = column("Events")
    first_seen_utc: Mapped[datetime] = column("Earliest event time")
    last_seen_utc: Mapped[datetime] = column("Latest event time")
    example_line_number: Mapped[int] = column("A line of the object that shows it")


class Validation(Table):
    __tablename__ = "validations"
    __table_args__ = (
        sa.UniqueConstraint("object_id", "layer", "expectation"),
        {"comment": "What the data checks found, one row for each object and expectation"},
    )
    validation_id: Mapped[int] = mapped_column(
        sa.Identity(), primary_key=True, comment="Row number"
    )
    source: Mapped[str] = column("Name of the log source")
    batch_id: Mapped[str] = column("The batch that was checked")
    object_id: Mapped[str] = column("The object version that was checked")
    object_key: Mapped[str] = column("Key in the bucket of raw logs")
    layer: Mapped[str] = column("parsed or events")
    expectation: Mapped[str] = column("What was expected, by name")
    severity: Mapped[str] = column("critical: sets the object aside; warning: is only told")
    passed: Mapped[bool] = column("Whether it held")
    reason: Mapped[str] = column("What was expected and found, in words")
    checked_at: Mapped[datetime] = column("When", server_default=sa.func.now())


class Label(Table):
    __tablename__ = "labels"
    __table_args__ = (
        sa.UniqueConstraint(
            "source", "session_key", "starts_at", "ends_at", postgresql_nulls_not_distinct=True
        ),
        sa.CheckConstraint(
            "(starts_at IS NULL) = (ends_at IS NULL) AND starts_at < ends_at", name="interval"
        ),
        sa.CheckConstraint("session_key IS NOT NULL OR starts_at IS NOT NULL", name="speaks"),
        sa.CheckConstraint("is_anomalous OR NOT golden", name="golden"),
        {"comment": "What people know: sessions or intervals that are anomalous or normal"},
    )
    label_id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True, comment="Row number")
    source: Mapped[str] = column("Name of the log source")
    session_key: Mapped[str | None] = column("The session it speaks of")
    starts_at: Mapped[datetime | None] = column("Start of the interval it speaks of")
    ends_at: Mapped[datetime | None] = column("End of the interval, exclusive")
    is_anomalous: Mapped[bool] = column("The verdict")
    author: Mapped[str] = column("Who says so")
    reason: Mapped[str] = column("Why")
    imported_at: Mapped[datetime] = column("When", server_default=sa.func.now())
    golden: Mapped[bool] = column(
        "A confirmed incident, which every champion must find", server_default=sa.false()
    )


OUTCOMES = (
    "promoted",
    "refused",
    "rejected",
    "unanswered",
    "registered",
    "kept",
    "waiting",
    "moved_back",
    "rolled_back",
)


class Promotion(Table):
    __tablename__ = "promotions"
    __table_args__ = (
        sa.UniqueConstraint("source", "dag_run_id"),
        sa.CheckConstraint(
            f"outcome IN ({', '.join(repr(each) for each in OUTCOMES)})", name="outcome"
        ),
        {"comment": "What the gate said of each challenger, and what became of it"},
    )
    promotion_id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True, comment="Row number")
    source: Mapped[str] = column("Name of the log source")
    dag_run_id: Mapped[str] = column("The DAG run that it came from, or who rolled back when")
    model_name: Mapped[str] = column("Registered model")
    version: Mapped[str] = column("The version that was judged, or rolled back to")
    family: Mapped[str] = column("Its detector family")
    champion_before: Mapped[str | None] = column("The version that was champion then")
    mlflow_run_id: Mapped[str] = column("The run in MLflow that holds its figures")
    figure: Mapped[str | None] = column(
        "What was compared: average precision, or recall at the budget"
    )
    challenger_figure: Mapped[float | None] = column("Of this version, on the later period")
    champion_figure: Mapped[float | None] = column("Of the champion, on the same windows")
    rules_figure: Mapped[float | None] = column("Of the best plain rule, on the same windows")
    difference_low: Mapped[float | None] = column(
        "95 % of the draws of the difference lie above this"
    )
    difference_high: Mapped[float | None] = column("and below this")
    checks: Mapped[list[dict[str, Any]]] = column("The table of the gate, one entry for each check")
    passed: Mapped[bool] = column("Whether it passed the gate")
    reason: Mapped[str] = column("The verdict in a sentence")
    policy: Mapped[str] = column("auto, approve, never, or roll_back")
    outcome: Mapped[str] = column(
        "promoted, refused (by the gate), rejected (by a person), unanswered, registered (policy "
        "never), kept (it is the champion), waiting, moved_back (it did not load), rolled_back"
    )
    decided_by: Mapped[str] = column("A person, or the gate")
    note: Mapped[str] = column("What the form said")
    decided_at: Mapped[datetime] = column(
        "When the outcome last changed", server_default=sa.func.now()
    )


class Scoring(Table):
    __tablename__ = "scorings"
    __table_args__ = (
        {"comment": "One row for each interval that a model judged, with or without anomalies"},
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    interval_start: Mapped[datetime] = column("Windows that closed after this", primary_key=True)
    interval_end: Mapped[datetime] = column("and not after this", primary_key=True)
    model_name: Mapped[str] = column("Registered model", primary_key=True)
    model_version: Mapped[str] = column("Its version", primary_key=True)
    catalogue_version: Mapped[int] = column(
        "The last change to the templates of the source then; 0 before the first", primary_key=True
    )
    detector: Mapped[str] = column("Detector family")
    windows: Mapped[int] = column("Windows judged")
    events: Mapped[int] = column("Events in them")
    anomalies: Mapped[int] = column("Windows flagged")
    threshold: Mapped[float] = column("Scores above it are flagged")
    scored_at: Mapped[datetime] = column("When the rows last changed")
    is_comparison: Mapped[bool] = column(
        "Made to see what this model says: no night, no incident and no alert rests on it",
        server_default=sa.false(),
    )


class Anomaly(Table):
    __tablename__ = "anomalies"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            [
                "source",
                "interval_start",
                "interval_end",
                "model_name",
                "model_version",
                "catalogue_version",
            ],
            [
                Scoring.source,
                Scoring.interval_start,
                Scoring.interval_end,
                Scoring.model_name,
                Scoring.model_version,
                Scoring.catalogue_version,
            ],
            ondelete="CASCADE",
            name="fk_anomalies_scoring",
        ),
        sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity"),
        sa.Index(None, "window_start"),
        sa.Index(None, "source", "window_start"),
        sa.Index(None, "session_key"),
        sa.Index(None, "score"),
        sa.Index(
            "ix_anomalies_critical",
            "window_start",
            postgresql_where=sa.text("severity = 'critical'"),
        ),
        sa.Index(
            "ix_anomalies_high",
            "window_start",
            postgresql_where=sa.text("severity IN ('high', 'critical')"),
        ),
        {
            "comment": "The product: each row is a window worth reading, with the reason",
            "postgresql_partition_by": "RANGE (interval_start)",
        },
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    interval_start: Mapped[datetime] = column("The scored interval", primary_key=True)
    interval_end: Mapped[datetime] = column("and its end", primary_key=True)
    model_name: Mapped[str] = column("Registered model", primary_key=True)
    model_version: Mapped[str] = column("Its version", primary_key=True)
    catalogue_version: Mapped[int] = column(
        "The templates that it saw, see scorings", primary_key=True
    )
    window_id: Mapped[str] = column("The window", primary_key=True)
    session_key: Mapped[str | None] = column("The session, where windows are sessions")
    window_start: Mapped[datetime] = column("First event of the window, or start of its time")
    window_end: Mapped[datetime] = column("Last event of the window")
    score: Mapped[float] = column("High is anomalous")
    threshold: Mapped[float] = column("What the score was above")
    severity: Mapped[str] = column(
        "low, medium, high or critical: how odd next to the oddest normal window"
    )
    reason: Mapped[str] = column("Why, in words")
    explanation: Mapped[list[dict[str, Any]]] = column("The findings, with their shares")
    lines: Mapped[list[dict[str, Any]]] = column("Addresses: object_key and line_number")
    detector: Mapped[str] = column("Detector family")
    events: Mapped[int] = column("Events in the window")
    signature: Mapped[str] = column(
        "Its kind: what was odd of which templates, as the reason names them; the same on every "
        "night"
    )
    sequence: Mapped[list[str]] = column(
        "The templates of its events in order, as the model saw them; the first 1,000"
    )


class Coverage(Table):
    __tablename__ = "coverage"
    __table_args__ = (
        sa.CheckConstraint("state IN ('scored', 'partly', 'not_scored')", name="state"),
        {"comment": "What the judgement of each source and night rests on"},
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    interval_start: Mapped[datetime] = column("The night: the interval to score", primary_key=True)
    interval_end: Mapped[datetime] = column("and its end", primary_key=True)
    objects_expected: Mapped[int | None] = column(
        "Objects with events on a day, the median of the 28 days before; null where fewer than 7 "
        "of them had any"
    )
    objects_arrived: Mapped[int] = column("Objects with events of the night")
    objects_late: Mapped[int] = column("Of these, those that arrived after it was first scored")
    objects_set_aside: Mapped[int] = column("Objects refused whole by the data checks that night")
    lines_read: Mapped[int] = column("Lines of the objects whose first event is of the night")
    events: Mapped[int] = column("Log records of the night")
    lines_quarantined: Mapped[int] = column("Of the lines read, those that did not parse")
    verdict: Mapped[str] = column(
        "What the data checks say of these objects: passed, warned, refused (some), or unchecked"
    )
    unseen_share: Mapped[float | None] = column(
        "Share of the judged events in templates that the model has never seen; null without a "
        "model or events"
    )
    windows: Mapped[int] = column("Windows that were judged")
    anomalies: Mapped[int] = column("Of these, those that were flagged")
    state: Mapped[str] = column(
        "scored: all that arrived was judged; partly: objects were set aside; not_scored"
    )
    reason: Mapped[str] = column("The same in words: no anomalies is not no logs")
    objects_seen: Mapped[str] = column("Hash of the objects that the windows were made of")
    first_scored_at: Mapped[datetime | None] = column("When it was scored for the first time")


class Source(Table):
    __tablename__ = "sources"
    __table_args__ = ({"comment": "The log sources, as their files said last"},)
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    prefix: Mapped[str] = column("Where its objects lie in the bucket of raw logs")
    format: Mapped[str] = column("Preset of the line format, or custom")
    windowing: Mapped[str] = column("session, time or count")
    description: Mapped[str] = column("Its file, as YAML")


class Measurement(Table):
    __tablename__ = "monitoring"
    __table_args__ = (
        {"comment": "How each source did each day, one row for each measure beside its bound"},
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    day: Mapped[date] = column("UTC day that was measured", primary_key=True)
    measure: Mapped[str] = column(
        "unseen_templates, template_drift, score_drift, champion_age, false_alerts, alert_budget, "
        "volume or parse_failures",
        primary_key=True,
    )
    value: Mapped[float | None] = column("What was measured; null where too little is known")
    bound: Mapped[float] = column(
        "Values above it are past it, of volume also those below one over it; it is as wide as "
        "chance needs where little was there to measure"
    )
    is_past: Mapped[bool] = column("Whether the value is past the bound")
    model_version: Mapped[str | None] = column("Version of the champion that it was measured by")
    rests_on: Mapped[int | None] = column(
        "Events, windows, lines or alerts that it rests on; null for an age"
    )
    reason: Mapped[str] = column("Value and what it rests on, in words")
    measured_at: Mapped[datetime] = column(
        "When the row last changed", server_default=sa.func.now()
    )


class RetrainRequest(Table):
    __tablename__ = "retrain_requests"
    __table_args__ = (
        {"comment": "When monitoring asked for a source to be retrained: at most once in 24 hours"},
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    asked_at: Mapped[datetime] = column("When", primary_key=True)
    day: Mapped[date] = column("UTC day whose measures were past their bounds")
    reason: Mapped[str] = column("These measures, in words")


class ShadowScoring(Table):
    __tablename__ = "shadow_scorings"
    __table_args__ = (
        {"comment": "One row for each interval that a champion and a challenger both judged"},
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    interval_start: Mapped[datetime] = column("Windows that closed after this", primary_key=True)
    interval_end: Mapped[datetime] = column("and not after this", primary_key=True)
    champion_version: Mapped[str] = column("Version of the champion", primary_key=True)
    challenger_version: Mapped[str] = column("Version of the challenger", primary_key=True)
    windows: Mapped[int] = column("Windows judged by both")
    flagged: Mapped[int] = column("Windows that either flags, or both")
    scored_at: Mapped[datetime] = column("When the rows last changed")


class ShadowScore(Table):
    __tablename__ = "shadow_scores"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["source", "interval_start", "interval_end", "champion_version", "challenger_version"],
            [
                ShadowScoring.source,
                ShadowScoring.interval_start,
                ShadowScoring.interval_end,
                ShadowScoring.champion_version,
                ShadowScoring.challenger_version,
            ],
            ondelete="CASCADE",
            name="fk_shadow_scores_scoring",
        ),
        {"comment": "Each row is a window that the champion, the challenger or both flag"},
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    interval_start: Mapped[datetime] = column("The scored interval", primary_key=True)
    interval_end: Mapped[datetime] = column("and its end", primary_key=True)
    champion_version: Mapped[str] = column("Version of the champion", primary_key=True)
    challenger_version: Mapped[str] = column("Version of the challenger", primary_key=True)
    window_id: Mapped[str] = column("The window", primary_key=True)
    session_key: Mapped[str | None] = column("The session, where windows are sessions")
    window_start: Mapped[datetime] = column("First event of the window, or start of its time")
    window_end: Mapped[datetime] = column("Last event of the window")
    champion_score: Mapped[float] = column("High is anomalous")
    champion_threshold: Mapped[float] = column("The champion flags scores above it")
    challenger_score: Mapped[float] = column("High is anomalous")
    challenger_threshold: Mapped[float] = column("The challenger flags scores above it")
    reason: Mapped[str] = column(
        "Why, in words, by the one that flags it; by the champion where both do"
    )
    lines: Mapped[list[dict[str, Any]]] = column("Addresses: object_key and line_number")


class Incident(Table):
    __tablename__ = "incidents"
    __table_args__ = (
        sa.CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity"),
        sa.CheckConstraint("state IN ('open', 'ongoing', 'resolved', 'expired')", name="state"),
        sa.CheckConstraint(
            "num_nulls(resolved_by, resolved_at, resolved_reason, resolved_night) IN (0, 4)",
            name="resolved",
        ),
        sa.Index(None, "last_night"),
        {"comment": "Anomalies that are alike and near in time, told as one"},
    )
    incident_id: Mapped[str] = column("Of the night and window that founded it", primary_key=True)
    title: Mapped[str] = column("What happened, in a line")
    reason: Mapped[str] = column("Why its oddest anomaly is one, in words")
    signature: Mapped[str] = column("The kind of the anomaly that founded it")
    sources: Mapped[list[str]] = mapped_column(
        ARRAY(sa.Text()), comment="Names of the log sources that it came in"
    )
    started_at: Mapped[datetime] = column("Start of its earliest window")
    ended_at: Mapped[datetime] = column("End of its latest window")
    first_night: Mapped[datetime] = column("Start of the scored interval that it came first in")
    last_night: Mapped[datetime] = column("and of the one that it came last in")
    anomalies: Mapped[int] = column("How many; 0 where none of them stands any more")
    sessions: Mapped[int] = column("Sessions among them")
    severity: Mapped[str] = column(
        "low, medium, high or critical: by score, novelty, breadth and log level"
    )
    score: Mapped[float] = column("The highest of its anomalies")
    component: Mapped[str | None] = column("What logs the lines of the anomaly that founded it")
    level: Mapped[str | None] = column("The worst log level of these lines")
    state: Mapped[str] = column(
        "open; ongoing: it came on later nights too; resolved: a person said so; expired: nothing "
        "of it for seven nights, or none of its anomalies stands any more"
    )
    resolved_by: Mapped[str | None] = column("Who said that it is over")
    resolved_at: Mapped[datetime | None] = column("When")
    resolved_reason: Mapped[str | None] = column("Why")
    resolved_night: Mapped[datetime | None] = column(
        "Its last night then: what is alike and comes later founds another incident"
    )
    alerted_at: Mapped[datetime | None] = column("When people were told, once and for all")
    updated_at: Mapped[datetime] = column("When the row last changed", server_default=sa.func.now())


class IncidentAnomaly(Table):
    __tablename__ = "incident_anomalies"
    __table_args__ = (
        sa.Index(None, "interval_start"),
        {"comment": "Which anomalies make an incident; each is in one at most"},
    )
    source: Mapped[str] = column("Name of the log source", primary_key=True)
    interval_start: Mapped[datetime] = column("The scored interval", primary_key=True)
    interval_end: Mapped[datetime] = column("and its end", primary_key=True)
    model_name: Mapped[str] = column("Registered model", primary_key=True)
    model_version: Mapped[str] = column("Its version", primary_key=True)
    catalogue_version: Mapped[int] = column("The templates that it saw", primary_key=True)
    window_id: Mapped[str] = column("The window", primary_key=True)
    incident_id: Mapped[str] = mapped_column(
        sa.ForeignKey(Incident.incident_id, ondelete="CASCADE"), index=True, comment="The incident"
    )


class Feedback(Table):
    __tablename__ = "feedback"
    __table_args__ = (
        sa.CheckConstraint("verdict IN ('true', 'false', 'expected', 'withdrawn')", name="verdict"),
        sa.CheckConstraint("(verdict = 'expected') = (until IS NOT NULL)", name="until"),
        sa.CheckConstraint("(verdict = 'withdrawn') = (withdraws IS NOT NULL)", name="withdraws"),
        sa.CheckConstraint("(signature IS NULL) <> (template_id IS NULL)", name="subject"),
        sa.Index(None, "source", "signature"),
        sa.Index(None, "source", "template_id"),
        sa.Index(None, "source", "window_id"),
        {
            "comment": "What people say of anomalies, incidents and templates; rows are only ever "
            "added"
        },
    )
    feedback_id: Mapped[int] = mapped_column(
        sa.Identity(), primary_key=True, comment="Row number, in order of time"
    )
    source: Mapped[str] = column("Name of the log source")
    verdict: Mapped[str] = column(
        "true: a real anomaly; false: a false alarm, which mutes its kind; expected: mutes it for "
        "a time; withdrawn: takes an earlier row back"
    )
    signature: Mapped[str | None] = column("The kind of anomaly that it speaks of")
    template_id: Mapped[str | None] = column(
        "or the template: it speaks of every anomaly whose kind names it"
    )
    incident_id: Mapped[str | None] = column(
        "The incident that it was said of, which has a row for each source and kind"
    )
    window_id: Mapped[str | None] = column("The anomaly that it was said of")
    first_night: Mapped[datetime] = column("It holds for intervals that start at this or later")
    until: Mapped[datetime | None] = column(
        "and for windows that start before this; null for always"
    )
    withdraws: Mapped[int | None] = mapped_column(
        sa.ForeignKey("loganalyzer.feedback.feedback_id"),
        unique=True,
        comment="The row that it takes back",
    )
    author: Mapped[str] = column("Who says so")
    reason: Mapped[str] = column("Why")
    login: Mapped[str] = column("The role in Postgres that it was said by")
    given_at: Mapped[datetime] = column("When", server_default=sa.func.now())
