"""The charts. What a colour tells is also told by a shape, a place or a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import altair as alt
import streamlit as st

from services.dashboard.parts import SEVERITIES
from services.dashboard.text import visible

COLOURS = {"critical": "#d55e00", "high": "#e69f00", "medium": "#b8a800", "low": "#3f94d6"}
MARKS = {"critical": "square", "high": "diamond", "medium": "triangle-up", "low": "circle"}
BLUE, ORANGE = "#3f94d6", "#d55e00"
LANE, STRIP, GAP, THICKNESS = 1.0, 1.0, 0.6, 0.45
LANE_PX = 26
SHORTEST_BAR, ROOM = timedelta(minutes=6), timedelta(minutes=75)
TITLE_LENGTH = 60
MOST_LANES = 6
LEAST_UNITS = 7


@dataclass(frozen=True, slots=True)
class Night:
    """What the timeline shows of a source. note: what is to be said of its coverage, or nothing.

    hours: rows with `hour_utc` and `events`. incidents: rows with `number`, that in the list,
    `title`, `severity`, `started_at`, `ended_at`.
    """

    source: str
    hours: Sequence[Mapping[str, Any]]
    incidents: Sequence[Mapping[str, Any]]
    note: str = ""


def timeline(nights: Sequence[Night], start: datetime, end: datetime) -> None:
    """A row for each source: a strip that is darker in hours of many events, incidents below."""
    strips: list[dict[str, Any]] = []
    bars: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    names: dict[float, str] = {}
    top = 0.0
    for night in nights:
        names[top + STRIP / 2] = night.source
        strips += _strip(night, top)
        found, lanes = _bars(night, top + STRIP, start, end)
        bars += found
        if night.note:
            notes.append({"start": start.isoformat(), "y": top + STRIP / 2, "note": night.note})
        top += STRIP + lanes * LANE + GAP
    width = alt.Scale(domain=[start.isoformat(), end.isoformat()], type="utc")
    x = alt.X("start:T", scale=width, axis=alt.Axis(format="%H:%M", title="UTC", grid=True))
    labels = "{" + ", ".join(f"'{at}': '{name}'" for at, name in names.items()) + "}"
    axis = alt.Axis(
        values=list(names), labelExpr=f"{labels}[datum.value]", title=None, grid=False, ticks=False
    )
    y = alt.Y("top:Q", scale=alt.Scale(domain=[top, -0.2], nice=False), axis=axis)
    chart = alt.layer(_strips(strips, x, y), *_incidents(bars, x, y), _notes(notes, x, y))
    told = f"{len(bars)} incidents of {len(nights)} sources by hour; the list below says the same"
    st.altair_chart(chart.properties(height=max(90, int(top * LANE_PX) + 40)), alt=told)


def _strip(night: Night, top: float) -> list[dict[str, Any]]:
    most = max((row["events"] for row in night.hours), default=0)
    return [
        {
            "source": night.source,
            "start": row["hour_utc"],
            "end": (datetime.fromisoformat(row["hour_utc"]) + timedelta(hours=1)).isoformat(),
            "events": row["events"],
            "share": row["events"] / most if most else 0,
            "top": top,
            "bottom": top + STRIP,
        }
        for row in night.hours
    ]


def _bars(
    night: Night, top: float, start: datetime, end: datetime
) -> tuple[list[dict[str, Any]], int]:
    """Each incident in the first lane that is free then, and how many lanes there are."""
    free: list[datetime] = []
    bars = []
    for incident in sorted(night.incidents, key=lambda each: each["started_at"]):
        first = max(datetime.fromisoformat(incident["started_at"]), start)
        last = min(max(datetime.fromisoformat(incident["ended_at"]), first + SHORTEST_BAR), end)
        lane = next((n for n, until in enumerate(free) if until <= first), len(free))
        lane = min(lane, MOST_LANES - 1)
        free[lane : lane + 1] = [last + ROOM]
        middle = top + lane * LANE + LANE / 2
        bars.append(
            {
                "source": night.source,
                "number": incident["number"],
                "title": visible(incident["title"], TITLE_LENGTH),
                "severity": incident["severity"],
                "start": first.isoformat(),
                "end": last.isoformat(),
                "top": middle - THICKNESS / 2,
                "bottom": middle + THICKNESS / 2,
                "middle": middle,
            }
        )
    return bars, len(free)


def _strips(rows: list[dict[str, Any]], x: alt.X, y: alt.Y) -> alt.Chart:
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=BLUE, stroke=BLUE, strokeOpacity=0.35, strokeWidth=0.5)
        .encode(
            x=x,
            x2="end:T",
            y=y,
            y2="bottom:Q",
            opacity=alt.Opacity(
                "share:Q", scale=alt.Scale(domain=[0, 1], range=[0.06, 0.75]), legend=None
            ),
            tooltip=[
                alt.Tooltip("source:N"),
                _moment_tip("start", "%Y-%m-%d %H:%M"),
                alt.Tooltip("events:Q", format=","),
            ],
        )
    )


def _incidents(rows: list[dict[str, Any]], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """A bar, the shape of its severity where it begins, and the number it has in the list."""
    known = [COLOURS[name] for name in SEVERITIES]
    colour = alt.Color(
        "severity:N", scale=alt.Scale(domain=list(SEVERITIES), range=known), legend=None
    )
    shapes = alt.Scale(domain=list(SEVERITIES), range=[MARKS[name] for name in SEVERITIES])
    chart = alt.Chart(alt.Data(values=rows)).encode(
        x=x,
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("number", "title", "severity", "source")],
    )
    middle = alt.Y("middle:Q")
    bars = chart.mark_bar(cornerRadius=3).encode(y=y, y2="bottom:Q", x2="end:T", color=colour)
    points = chart.mark_point(size=130, filled=True, opacity=1, stroke="#10161c", strokeWidth=1)
    points = points.encode(
        y=middle, color=colour, shape=alt.Shape("severity:N", scale=shapes, legend=None)
    )
    numbers = chart.mark_text(align="right", dx=-10, fontWeight="bold", fontSize=13)
    return [bars, points, numbers.encode(y=middle, text="number:N")]


def _notes(rows: list[dict[str, Any]], x: alt.X, y: alt.Y) -> alt.Chart:
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_text(align="left", dx=6, fontWeight="bold", color=ORANGE)
        .encode(x=x, y=alt.Y("y:Q"), text="note:N")
    )


def bars_over_time(
    rows: Sequence[Mapping[str, Any]], when: str, told: str, height: int = 170
) -> None:
    """Events by hour or by day. when: the column of the time. told: what the chart shows, for
    readers of screens."""
    unit = timedelta(days=1) if when == "day" else timedelta(hours=1)
    moments = [datetime.fromisoformat(row[when]).replace(tzinfo=UTC) for row in rows]
    if not moments:
        return
    first = min(moments[0] - unit, moments[-1] - LEAST_UNITS * unit)
    units = (moments[-1] - first) / unit + 1
    domain = [first.isoformat(), (moments[-1] + unit).isoformat()]
    values = [
        {"when": moment.isoformat(), "events": row["events"]}
        for moment, row in zip(moments, rows, strict=True)
    ]
    form = "%Y-%m-%d" if when == "day" else "%Y-%m-%d %H:%M"
    step = unit.total_seconds() * 1000
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(color=BLUE, size=max(1.5, min(22.0, 420 / units)))
        .encode(
            x=alt.X(
                "when:T",
                scale=alt.Scale(domain=domain, type="utc"),
                axis=alt.Axis(title="UTC", format="%b %d", tickCount=6, tickMinStep=step),
            ),
            y=alt.Y("events:Q", axis=alt.Axis(title="events", format="~s", tickCount=4)),
            tooltip=[_moment_tip("when", form), alt.Tooltip("events:Q", format=",")],
        )
    )
    st.altair_chart(chart.properties(height=height), alt=told)


def _moment_tip(name: str, form: str) -> alt.Tooltip:
    return alt.Tooltip(f"{name}:T", title="UTC", format=form, formatType="utc")


def curve(rows: Sequence[Mapping[str, Any]], x: str, y: str, told: str) -> None:
    """One figure against another, both between zero and one."""
    chart = (
        alt.Chart(alt.Data(values=[dict(row) for row in rows]))
        .mark_line(color=BLUE, point=len(rows) < 30)
        .encode(
            x=alt.X(f"{x}:Q", title=x),
            y=alt.Y(f"{y}:Q", title=y),
            order=alt.Order(f"{x}:Q"),
            tooltip=[alt.Tooltip(f"{x}:Q", format=".3f"), alt.Tooltip(f"{y}:Q", format=".3f")],
        )
    )
    st.altair_chart(chart.properties(height=240), alt=told)


def promises(rows: Sequence[Mapping[str, Any]], told: str) -> None:
    """What was flagged for each window that was promised, by day, with the promise as a dashed line
    and the bound as steps. rows: `day`, `value`, `bound`."""
    x = alt.X("day:T", title="week up to the day", axis=alt.Axis(format="%b %d"))
    base = alt.Chart(alt.Data(values=[dict(row) for row in rows])).encode(x=x)
    kept = base.mark_line(color=BLUE, point=True).encode(
        y=alt.Y("value:Q", title="flagged for each promised"),
        tooltip=["day:T", alt.Tooltip("value:Q", format=".2f"), "reason:N"],
    )
    bound = base.mark_line(color=ORANGE, interpolate="step-after").encode(y="bound:Q")
    promise = alt.Chart(alt.Data(values=[{"at": 1}])).mark_rule(strokeDash=[5, 4])
    layers = alt.layer(kept, bound, promise.encode(y="at:Q"))
    st.altair_chart(layers.properties(height=200), alt=told)


def histogram(rows: Sequence[Mapping[str, Any]], threshold: float | None, told: str) -> None:
    """Windows by score, normal and anomalous apart, with the threshold as a line. rows: `score`,
    the lower end of a bin, `windows`, and `truth`."""
    values = [dict(row) for row in rows]
    bars = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(opacity=0.75)
        .encode(
            x=alt.X("score:Q", bin="binned", title="score"),
            x2="score_end:Q",
            y=alt.Y("windows:Q", scale=alt.Scale(type="symlog"), stack=None),
            color=alt.Color(
                "truth:N",
                scale=alt.Scale(domain=["normal", "anomalous"], range=[BLUE, ORANGE]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=["truth:N", "windows:Q", alt.Tooltip("score:Q", format=".2f")],
        )
    )
    layers: list[Any] = [bars]
    if threshold is not None:
        line = alt.Chart(alt.Data(values=[{"at": threshold}])).mark_rule(strokeDash=[5, 4], size=2)
        layers.append(line.encode(x="at:Q"))
    st.altair_chart(alt.layer(*layers).properties(height=240), alt=told)
