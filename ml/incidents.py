"""Incidents: anomalies that are alike and near in time, told as one.

A night's anomalies are many and their causes few. What is told once is an incident: its title, when
it began, how broad it is and how bad.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from ml.explanation import TEXT_LENGTH
from ml.model import Severity

State = Literal["open", "ongoing", "resolved", "expired"]

# Anomalies whose findings, or the words of whose templates, are alike by so much are of one kind.
ALIKE = 0.5
# Fewer words in common than this are chance.
LEAST_WORDS = 3
# What comes from two sources belongs together when it ends no farther apart.
NEAR = timedelta(hours=1)
# One session that two sources speak of starts in both within this.
SAME_START = timedelta(minutes=5)
# What has been quiet for so long is over; if it comes again, it is news.
EXPIRY = timedelta(days=7)

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
LEVELS = ("TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRITICAL", "FATAL")
POINTS_OF_LEVEL = {"ERROR": 1, "CRITICAL": 2, "FATAL": 2}
# So many anomalies are broad, and very broad.
BROAD = (10, 100)

WORD = re.compile(r"[^\W\d_]{3,}")
# What a kind of finding says of its windows, of one and of several.
PREDICATES = {
    "new": ("holds {}, never seen before", "hold {}, never seen before"),
    "missing": ("ends without {}", "end without {}"),
    "more": ("holds {} more often than usual", "hold {} more often than usual"),
    "fewer": ("holds {} less often than usual", "hold {} less often than usual"),
    "order": ("holds {} out of order", "hold {} out of order"),
    "value": ("holds an unusual value in {}", "hold an unusual value in {}"),
    "late": ("is late with {}", "are late with {}"),
    "habit": ("holds {} from an unusual place", "hold {} from an unusual place"),
}
RATES = {"silence": "silence", "few": "few events", "many": "many events"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """An anomaly as grouping sees it.

    row: the number by which the caller knows it. night: the start of the interval that it was
    scored in. start, end: of its window. signature: see `ml.explanation`. words: `words_of` the
    templates that the signature names. severity: by its score alone.
    """

    row: int
    source: str
    window_id: str
    night: datetime
    start: datetime
    end: datetime
    score: float
    severity: Severity
    signature: str
    words: frozenset[str] = frozenset()
    session_key: str | None = None

    @property
    def findings(self) -> frozenset[str]:
        return frozenset(self.signature.split("|"))


@dataclass(slots=True)
class Incident:
    """Its sightings, in the order in which they joined; the first one founded it.

    firsts: of each source the first, to which later ones of that source are compared, so that a
    kind does not drift. starts: when each session last started.
    """

    incident_id: str
    sightings: list[Sighting] = field(default_factory=list)
    firsts: dict[str, Sighting] = field(default_factory=dict)
    starts: dict[str | None, datetime] = field(default_factory=dict)

    def add(self, sighting: Sighting) -> None:
        self.sightings.append(sighting)
        self.firsts.setdefault(sighting.source, sighting)
        if sighting.session_key is not None:
            self.starts[sighting.session_key] = sighting.start

    @property
    def last(self) -> Sighting:
        return self.sightings[-1]

    @property
    def oddest(self) -> Sighting:
        return max(self.sightings, key=lambda each: each.score)

    @property
    def started_at(self) -> datetime:
        return min(each.start for each in self.sightings)

    @property
    def ended_at(self) -> datetime:
        return max(each.end for each in self.sightings)

    @property
    def sources(self) -> list[str]:
        return sorted(self.firsts)


def group(
    sightings: Iterable[Sighting],
    earlier: Mapping[str, Sequence[Sighting]] | None = None,
    closed: Mapping[str, datetime] | None = None,
) -> list[Incident]:
    """The incidents of some nights: those that go on first, and then the new in order of time.

    earlier: of each incident that began before these nights, by its id, what it held then.
    closed: the last night of which an incident that a person has resolved takes anything; what is
    alike and comes later founds another.

    Night by night, and in a night by the ends of their windows, each sighting joins the incident
    that it is most like, or else founds one:

    - of those that its source is in, one whose first sighting from there shares half of all
      findings (Jaccard index `ALIKE`), unless that incident expired, `EXPIRY` after its last night;
    - of those of other sources, one that ends within `NEAR` of it and whose words are alike, whose
      rate is odd in the same way, or in which a session of the same key starts within `SAME_START`.

    Nights are the outer order since scoring adds them one by one: grouping one more night, with
    what there was as `earlier`, gives what grouping all of them at once does. Ends are the inner
    one since a window is known when it ends: sessions that are long begin in any order.

    An id is that of the founding window and its night: it outlives another model and more nights.
    """
    index = _Index(closed or {})
    begun = {incident_id: Incident(incident_id) for incident_id in earlier or {}}
    index.incidents += begun.values()
    known = [(each, begun[key]) for key, held in (earlier or {}).items() for each in held]
    for sighting, incident in sorted(known, key=lambda pair: _in_order(pair[0])):
        index.add(sighting, incident)
    for sighting in sorted(sightings, key=_in_order):
        joined = index.of_own_source(sighting) or index.of_others(sighting)
        if joined is None:
            joined = Incident(id_of(sighting))
            index.incidents.append(joined)
        index.add(sighting, joined)
    return index.incidents


@dataclass(slots=True)
class _Index:
    """The incidents so far.

    by_finding: by source, and what its first sighting found. by_night: by their last night and
    their id, in the order of their last sightings.
    """

    closed: Mapping[str, datetime]
    incidents: list[Incident] = field(default_factory=list)
    by_finding: defaultdict[tuple[str, str], list[Incident]] = field(
        default_factory=lambda: defaultdict(list)
    )
    by_night: defaultdict[datetime, dict[str, Incident]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def add(self, sighting: Sighting, incident: Incident) -> None:
        if sighting.source not in incident.firsts:
            for finding in sighting.findings:
                self.by_finding[sighting.source, finding].append(incident)
        if incident.sightings:
            del self.by_night[incident.last.night][incident.incident_id]
        self.by_night[sighting.night][incident.incident_id] = incident
        incident.add(sighting)

    def of_own_source(self, sighting: Sighting) -> Incident | None:
        candidates = {
            incident.incident_id: incident
            for finding in sighting.findings
            for incident in self.by_finding[sighting.source, finding]
            if self._takes(incident, sighting)
        }
        likeness = {
            key: _jaccard(incident.firsts[sighting.source].findings, sighting.findings)
            for key, incident in candidates.items()
        }
        alike = [incident for key, incident in candidates.items() if likeness[key] >= ALIKE]
        return max(
            alike, key=lambda each: (likeness[each.incident_id], _latest(each)), default=None
        )

    def of_others(self, sighting: Sighting) -> Incident | None:
        alike = [
            incident
            for incident in self._near(sighting)
            if sighting.source not in incident.firsts
            and self._takes(incident, sighting)
            and _is_alike_across(incident, sighting)
        ]
        return max(alike, key=_latest, default=None)

    def _near(self, sighting: Sighting) -> Iterator[Incident]:
        """Those that end within `NEAR` of it."""
        for touched in self.by_night.values():
            for incident in reversed(touched.values()):
                # Within a night, those before it ended no later.
                if sighting.end - incident.last.end > NEAR:
                    break
                if incident.last.end - sighting.end <= NEAR:
                    yield incident

    def _takes(self, incident: Incident, sighting: Sighting) -> bool:
        if sighting.night - incident.last.night > EXPIRY:
            return False
        until = self.closed.get(incident.incident_id)
        return until is None or sighting.night <= until


def _in_order(sighting: Sighting) -> tuple[datetime, datetime, str, str]:
    return sighting.night, sighting.end, sighting.source, sighting.window_id


def _latest(incident: Incident) -> tuple[datetime, datetime, str]:
    return incident.last.night, incident.last.end, incident.incident_id


def _is_alike_across(incident: Incident, sighting: Sighting) -> bool:
    started = incident.starts.get(sighting.session_key)
    if started is not None and abs(sighting.start - started) <= SAME_START:
        return True
    return any(
        (first.signature == sighting.signature and sighting.signature.startswith("rate:"))
        or (
            len(first.words & sighting.words) >= LEAST_WORDS
            and _jaccard(first.words, sighting.words) >= ALIKE
        )
        for first in incident.firsts.values()
    )


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0


def id_of(founding: Sighting) -> str:
    """Twelve hexadecimal digits: short enough to be typed."""
    parts = (founding.source, founding.night.isoformat(), founding.window_id)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def words_of(signature: str, text_of: Callable[[str], str]) -> frozenset[str]:
    """The words, in small letters, of the templates that a signature names."""
    texts = (text_of(_template(finding)) for finding in signature.split("|"))
    return frozenset(word.lower() for text in texts for word in WORD.findall(text))


def state_of(first_night: datetime, last_night: datetime, newest_night: datetime) -> State:
    """The state of an incident that nobody has resolved: `expired` where its sources were quiet of
    it for longer than `EXPIRY`, else `ongoing` where it came on several nights, else `open`.

    newest_night: the last one scored of its sources.
    """
    if newest_night - last_night > EXPIRY:
        return "expired"
    return "ongoing" if last_night > first_night else "open"


def severity_of(incident: Incident, level: str | None) -> Severity:
    """How bad an incident is, by points: 0 or 1 are low, 2 or 3 medium, 4 or 5 high, more critical.

    - score: 0 to 3, for the highest severity (low to critical) of its anomalies;
    - novelty: 1 where a template is named that was never seen before;
    - breadth: 1 for ten anomalies, 2 for a hundred or for several sources;
    - log level: 1 for ERROR, 2 for CRITICAL or FATAL.

    level: the worst of the lines that the founding anomaly names, None where it names none. All
    parts only grow with an incident, and so does the severity.
    """
    points = max(SEVERITIES.index(each.severity) for each in incident.sightings)
    points += any(_names_new(each) for each in incident.sightings)
    broad = sum(len(incident.sightings) >= least for least in BROAD)
    points += 2 if len(incident.firsts) > 1 else broad
    points += POINTS_OF_LEVEL.get(level or "", 0)
    return SEVERITIES[min(points // 2, len(SEVERITIES) - 1)]


def _names_new(sighting: Sighting) -> bool:
    return any(finding.startswith("new:") for finding in sighting.findings)


def title(incident: Incident, text_of: Callable[[str], str], component: str | None) -> str:
    """What happened, in a line: the finding that most of its anomalies share, and how many do.

    text_of: the text of a template by its id. component: what logs it, where that is known; with
    several sources, their names stand in its place.
    """
    shared = Counter(finding for each in incident.sightings for finding in each.findings)
    # Among equals, what was never there comes first, as in the reasons.
    finding = min(shared, key=lambda each: (-shared[each], not each.startswith("new:"), each))
    who = ", ".join(incident.sources)
    if component and len(incident.firsts) == 1:
        who = component
    when = incident.started_at
    is_of_one_night = incident.sightings[0].night == incident.last.night
    first_seen = f"{when:%H:%M}" if is_of_one_night else f"{when:%Y-%m-%d %H:%M}"
    units = "session" if incident.sightings[0].session_key is not None else "window"
    what = _predicate(finding, shared[finding], units, text_of)
    return f"{who}: {what}, first seen {first_seen}"


def _predicate(finding: str, count: int, unit: str, text_of: Callable[[str], str]) -> str:
    kind, _, named = finding.partition(":")
    if kind == "rate":
        return RATES.get(named, named)
    one, several = PREDICATES.get(kind, ("is rarely like this", "are rarely like this"))
    text = " ".join(text_of(_template(finding)).split())
    if len(text) > TEXT_LENGTH:
        text = text[: TEXT_LENGTH - 1] + "…"
    subject = f"1 {unit}" if count == 1 else f"{count:,} {unit}s"
    return f"{subject} {(one if count == 1 else several).format(f'`{text}`')}"


def _template(finding: str) -> str:
    """The id of the template that a finding names; of two, the first."""
    return finding.partition(":")[2].partition(">")[0]
