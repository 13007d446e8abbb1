"""Grouping: few incidents, the same whatever the order and the pieces."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ml.incidents import (
    Incident,
    Sighting,
    group,
    severity_of,
    state_of,
    title,
    words_of,
)

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TEXTS = {
    "ab": "Received block <*> of size <*>",
    "cd": "disk <*> is full",
    "ef": "PacketResponder <*> terminating",
    "gh": "exception while writing block <*> to disk <*>",
    "ij": "exception while writing block <*> to mirror <*>",
}


def text_of(template: str) -> str:
    return TEXTS.get(template, template)


def sighting(
    signature: str = "missing:ab",
    at: timedelta = HOUR,
    *,
    source: str = "disk",
    row: int = 0,
    night: int = 0,
    **said: object,
) -> Sighting:
    """Ends at this time of a night, and started ten minutes earlier."""
    start = MONDAY + night * DAY
    plain = Sighting(
        row=row,
        source=source,
        window_id=f"{source} {signature} {start + at}",
        night=start,
        start=start + at - 10 * MINUTE,
        end=start + at,
        score=3.0,
        severity="low",
        signature=signature,
        words=words_of(signature, text_of),
    )
    return replace(plain, **said)  # type: ignore[arg-type]


def sizes(incidents: list[Incident]) -> list[int]:
    return sorted(len(each.sightings) for each in incidents)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        pytest.param(
            sighting("missing:ab"), sighting("missing:ab", 9 * HOUR), True, id="same kind"
        ),
        pytest.param(
            sighting("missing:ab"), sighting("new:ab", 2 * HOUR), False, id="another finding"
        ),
        pytest.param(
            sighting("missing:ab|new:cd"), sighting("missing:ab", 2 * HOUR), True, id="half of it"
        ),
        pytest.param(
            sighting("missing:ab|new:cd"),
            sighting("missing:ab|new:ef", 2 * HOUR),
            False,
            id="a third of it",
        ),
        pytest.param(
            sighting(), sighting(night=7), True, id="a week later it is the same incident"
        ),
        pytest.param(sighting(), sighting(night=8), False, id="another day later it is news"),
        pytest.param(
            sighting("new:gh"),
            sighting("new:ij", HOUR + 5 * MINUTE, source="net"),
            True,
            id="another source says it in nearly the same words",
        ),
        pytest.param(
            sighting("new:gh"),
            sighting("new:ij", 3 * HOUR, source="net"),
            False,
            id="another source says it hours later",
        ),
        pytest.param(
            sighting("new:gh"),
            sighting("new:cd", HOUR + 5 * MINUTE, source="net"),
            False,
            id="another source speaks of the disk too",
        ),
        pytest.param(
            sighting("new:gh", session_key="blk_1"),
            sighting("new:cd", HOUR + MINUTE, source="net", session_key="blk_1"),
            True,
            id="a session that two sources speak of",
        ),
        pytest.param(
            sighting("new:gh", session_key="blk_1"),
            sighting("new:cd", HOUR + 6 * MINUTE, source="net", session_key="blk_1"),
            False,
            id="a key that comes again later",
        ),
        pytest.param(
            sighting("new:gh"),
            sighting("new:cd", HOUR, source="net"),
            False,
            id="windows without a key have none in common",
        ),
        pytest.param(
            sighting("rate:silence"),
            sighting("rate:silence", HOUR, source="net"),
            True,
            id="two sources fall silent",
        ),
        pytest.param(
            sighting("rate:silence"),
            sighting("rate:many", HOUR, source="net"),
            False,
            id="one falls silent and one gets loud",
        ),
        pytest.param(
            sighting("rare"), sighting("rare", 2 * HOUR, source="net"), False, id="nothing named"
        ),
    ],
)
def test_what_is_alike_and_near_is_one(one: Sighting, other: Sighting, together: bool) -> None:
    assert sizes(group([one, other])) == ([2] if together else [1, 1])


def test_a_kind_does_not_drift() -> None:
    """Each is like the one before, and the last nothing like the first."""
    chain = ["new:ab", "new:ab|new:cd", "new:cd", "new:cd|new:ef"]
    found = group([sighting(each, n * HOUR) for n, each in enumerate(chain)])
    kinds = [[each.signature for each in incident.sightings] for incident in found]
    assert kinds == [chain[:2], chain[2:]]


def test_it_joins_what_it_is_most_like() -> None:
    three = [sighting("new:ab|new:cd"), sighting("new:ab|new:ef", 2 * HOUR)]
    found = group([*three, sighting("new:ab|new:ef", 3 * HOUR)])
    assert [len(each.sightings) for each in found] == [1, 2]


def test_a_source_that_joined_another_goes_on_in_its_incident() -> None:
    found = group(
        [
            sighting("new:gh"),
            sighting("new:ij", HOUR + MINUTE, source="net"),
            sighting("new:ij", 9 * HOUR, source="net"),
        ]
    )
    assert [each.sources for each in found] == [["disk", "net"]]


def many() -> list[Sighting]:
    """Three weeks of anomalies of two sources, enough of them to meet in every way."""
    drawn = random.Random(0)  # noqa: S311  a sample, not a secret
    kinds = ["new:gh", "new:ij", "missing:ab", "missing:ab|new:cd", "new:cd|new:ef", "rate:few"]
    return [
        sighting(
            drawn.choice(kinds),
            drawn.random() * DAY,
            source=drawn.choice(["disk", "net"]),
            night=drawn.choice([0, 1, 2, 3, 11, 12, 20]),
            row=row,
            session_key=drawn.choice([None, "a", "b"]),
        )
        for row in range(200)
    ]


def ids(incidents: list[Incident]) -> dict[str, list[int]]:
    return {each.incident_id: [part.row for part in each.sightings] for each in incidents}


def test_any_order_gives_the_same() -> None:
    expected = ids(group(many()))
    for seed in range(3):
        shuffled = random.Random(seed).sample(many(), 200)  # noqa: S311  a sample, not a secret
        assert ids(group(shuffled)) == expected


@pytest.mark.parametrize("since", [1, 3, 12, 20])
def test_grouping_on_from_a_night_gives_what_grouping_all_gives(since: int) -> None:
    cut = MONDAY + since * DAY
    before, after = ([each for each in many() if (each.night >= cut) == late] for late in (0, 1))
    earlier = {each.incident_id: each.sightings for each in group(before)}
    assert ids(group(after, earlier)) == ids(group(many()))


def test_what_is_alike_and_later_than_the_last_night_of_a_resolved_one_founds_another() -> None:
    nights = [sighting(night=night, row=night) for night in range(3)]
    (first,) = group(nights)
    found = group(nights, closed={first.incident_id: MONDAY + DAY})
    assert [[part.row for part in each.sightings] for each in found] == [[0, 1], [2]]
    assert found[0].incident_id == first.incident_id != found[1].incident_id


def test_a_silence_that_goes_on_after_it_was_resolved_is_another_incident() -> None:
    """The same window is flagged on both nights, as it begins where the silence does."""
    nights = [sighting("rate:silence", night=night, window_id="rate@0") for night in range(2)]
    (first,) = group(nights)
    assert (
        len({each.incident_id for each in group(nights, closed={first.incident_id: MONDAY})}) == 2
    )


def test_an_id_outlives_another_model_that_tells_the_window_otherwise() -> None:
    (one,) = group([sighting("new:ab", window_id="w")])
    (other,) = group([sighting("missing:cd", window_id="w", score=9.0)])
    assert one.incident_id == other.incident_id


@pytest.mark.parametrize(
    ("last", "newest", "expected"),
    [(0, 0, "open"), (0, 7, "open"), (1, 7, "ongoing"), (0, 8, "expired"), (1, 9, "expired")],
)
def test_the_life_of_an_incident(last: int, newest: int, expected: str) -> None:
    assert state_of(MONDAY, MONDAY + last * DAY, MONDAY + newest * DAY) == expected


@pytest.mark.parametrize(
    ("parts", "level", "expected"),
    [
        pytest.param([sighting()], None, "low", id="one of a low score"),
        pytest.param([sighting()], "INFO", "low", id="that says so calmly"),
        pytest.param([sighting()], "ERROR", "low", id="that is an error"),
        pytest.param([sighting()], "FATAL", "medium", id="that is fatal"),
        pytest.param([sighting("new:cd")], "ERROR", "medium", id="an error never seen before"),
        pytest.param([sighting("missing:ab|new:cd")], "WARN", "low", id="something new"),
        pytest.param([sighting(severity="critical")], None, "medium", id="very odd"),
        pytest.param(
            [sighting(), sighting(severity="critical")], None, "medium", id="the oddest counts"
        ),
        pytest.param([sighting("new:cd")] * 10, None, "medium", id="ten of something new"),
        pytest.param([sighting("missing:ab")] * 100, None, "medium", id="a hundred"),
        pytest.param(
            [sighting("new:gh"), sighting("new:ij", source="net")],
            "ERROR",
            "high",
            id="a new error in two sources",
        ),
        pytest.param(
            [sighting("new:cd", severity="high")] * 10, "FATAL", "critical", id="all of it"
        ),
    ],
)
def test_severity_adds_up(parts: list[Sighting], level: str | None, expected: str) -> None:
    incident = Incident("")
    for part in parts:
        incident.add(part)
    assert severity_of(incident, level) == expected


@pytest.mark.parametrize(
    ("parts", "component", "expected"),
    [
        pytest.param(
            [sighting(session_key=f"blk_{n}", at=n * MINUTE) for n in range(1, 215)],
            "DataNode",
            "DataNode: 214 sessions end without `Received block <*> of size <*>`, first seen 23:51",
            id="sessions",
        ),
        pytest.param(
            [sighting("new:cd")],
            None,
            "disk: 1 window holds `disk <*> is full`, never seen before, first seen 00:50",
            id="one window",
        ),
        pytest.param(
            [sighting("missing:ab|new:cd"), sighting("new:cd", 2 * HOUR, night=1)],
            None,
            "disk: 2 windows hold `disk <*> is full`, never seen before, "
            "first seen 2026-03-02 00:50",
            id="several nights, and what most of them share",
        ),
        pytest.param(
            [sighting("order:ab>cd")],
            None,
            "disk: 1 window holds `Received block <*> of size <*>` out of order, first seen 00:50",
            id="an order names two",
        ),
        pytest.param(
            [sighting("rate:silence"), sighting("rate:silence", source="net")],
            "DataNode",
            "disk, net: silence, first seen 00:50",
            id="several sources",
        ),
        pytest.param(
            [sighting("rare")],
            None,
            "disk: 1 window is rarely like this, first seen 00:50",
            id="nothing named",
        ),
        pytest.param(
            [sighting("more:zz" + "z" * 100)],
            None,
            f"disk: 1 window holds `{'z' * 79}…` more often than usual, first seen 00:50",
            id="a long text",
        ),
    ],
)
def test_a_title_says_what_happened(
    parts: list[Sighting], component: str | None, expected: str
) -> None:
    incident = Incident("")
    for part in parts:
        incident.add(part)
    assert title(incident, text_of, component) == expected


def test_a_title_is_one_line() -> None:
    incident = Incident("")
    incident.add(sighting("new:ab"))
    assert "\n" not in title(incident, lambda _: "Traceback:\n  File\r\n", None)
