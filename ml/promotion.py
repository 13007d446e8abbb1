"""The gate: may a challenger take the champion's place?

A pure function of what both, and the plain rules, scored on the same later windows, which none of
them has learnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.evaluation import alerts_per_day
from ml.injection import found_by_kind
from ml.ranking import Ranking, blocks_of, draws
from ml.thresholds import false_alarm_share
from ml.tuning import Exam

Floats = npt.NDArray[np.float64]

# The challenger's figure must be higher by this much,
MARGIN = 0.01
# and in so many of a hundred draws of the windows higher at all.
CONFIDENCE = 0.95
# No kind of fault may be found less often by more than this.
LARGEST_LOSS = 0.1
# Without a budget, a threshold may let through so many times what it promised.
LARGEST_EXCESS = 3.0
# A night of ten million lines is scored within three hours.
LEAST_EVENTS_PER_SECOND = 1000.0
MOST_MEGABYTES = 200.0


@dataclass(frozen=True, slots=True)
class Contender:
    """What a model made of the later windows, and what it costs.

    scores: shape (n,). golden: the golden incidents, by name, and whether each is found.
    """

    name: str
    scores: Floats
    threshold: float
    events_per_second: float
    megabytes: float
    golden: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: what was asked, what of whom was found, and whether that will do."""

    name: str
    wanted: str
    challenger: str
    champion: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """figure: what it is called. champion: None without one. rules: the figure of each. low, high:
    95 % of the draws of the difference to the champion lie between; None without one."""

    passed: bool
    reason: str
    figure: str
    challenger: float
    champion: float | None
    rules: Mapping[str, float]
    low: float | None
    high: float | None
    checks: Sequence[Check]

    def table(self) -> str:
        """In Markdown, for a log, a form and a page."""
        lines = ["| check | wanted | challenger | champion | |", "|---|---|---|---|---|"]
        for check in self.checks:
            cells = (check.name, check.wanted, check.challenger, check.champion)
            lines.append(f"| {' | '.join(cells)} | {'passed' if check.passed else 'FAILED'} |")
        return "\n".join(lines)


def judge(
    exam: Exam,
    challenger: Contender,
    champion: Contender | None,
    rules: Mapping[str, Floats],
    budget: float | None,
    seed: int,
) -> Verdict:
    """rules: the scores of the plain rules, by name, shape (n,) each. budget: alerts per day."""
    rankings = {"challenger": Ranking(challenger.scores, exam.trial.is_anomalous)}
    if champion is not None:
        rankings["champion"] = Ranking(champion.scores, exam.trial.is_anomalous)
    figures = {name: exam.measure(ranking) for name, ranking in rankings.items()}
    of_rules = {name: exam.figure(scores) for name, scores in rules.items()}
    low, high = _interval(exam, rankings, seed) if champion is not None else (None, None)
    checks = [
        _improves(exam, figures, low, high),
        _beats_rules(exam, figures, of_rules),
        _alerts(exam, challenger, champion, budget),
        *_kinds(exam, challenger, champion),
        _cost("events scored a second", "events_per_second", challenger, champion),
        _cost("megabytes", "megabytes", challenger, champion),
        *_golden(challenger, champion),
    ]
    failed = [check for check in checks if not check.passed]
    return Verdict(
        not failed,
        _reason(challenger, champion, checks[0], failed),
        exam.measure.name,
        figures["challenger"],
        figures.get("champion"),
        of_rules,
        low,
        high,
        checks,
    )


def _interval(exam: Exam, rankings: Mapping[str, Ranking], seed: int) -> tuple[float, float]:
    """Between which 95 % of the draws of the difference lie: both meet the same draws."""
    challenger, champion = rankings["challenger"], rankings["champion"]
    blocks = blocks_of(exam.trial.test)
    differences = [
        exam.measure(challenger, drawn) - exam.measure(champion, drawn)
        for drawn in draws(len(exam.trial.test), seed, blocks)
    ]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(differences, [tail, 100 - tail])
    return float(low), float(high)


def _improves(
    exam: Exam, figures: Mapping[str, float], low: float | None, high: float | None
) -> Check:
    wanted = f"higher by {MARGIN}, and in {CONFIDENCE:.0%} of draws higher"
    told = f"{figures['challenger']:.3f}"
    if low is None:
        return Check(exam.measure.name, wanted, told, "there is none", True)
    gain = figures["challenger"] - figures["champion"]
    told += f" ({gain:+.3f}, draws from {low:+.3f} to {high:+.3f})"
    passed = bool(gain >= MARGIN and low > 0)
    return Check(exam.measure.name, wanted, told, f"{figures['champion']:.3f}", passed)


def _beats_rules(exam: Exam, figures: Mapping[str, float], rules: Mapping[str, float]) -> Check:
    best = max(rules, key=lambda name: rules[name])
    # What finds all there is cannot be beaten.
    passed = figures["challenger"] > rules[best] or figures["challenger"] >= 1
    return Check(
        "plain rules",
        f"more than {rules[best]:.3f} ({best})",
        f"{figures['challenger']:.3f}",
        f"{figures['champion']:.3f}" if "champion" in figures else "",
        passed,
    )


def _alerts(
    exam: Exam, challenger: Contender, champion: Contender | None, budget: float | None
) -> Check:
    """False alarms: with labels, alerts on windows that are not labelled; else all but those on
    planted faults."""
    normal = exam.trial.test.where(~exam.trial.is_anomalous)

    def alerts(of: Contender) -> float:
        is_flagged = of.scores[~exam.trial.is_anomalous] > of.threshold
        per_day = alerts_per_day(normal, is_flagged)
        return float(is_flagged.sum()) if per_day is None else per_day

    everything = alerts_per_day(normal, np.ones(len(normal), dtype=np.bool_)) or len(normal)
    most = budget
    if most is None:
        share = false_alarm_share(len(exam.trial.learnt))
        most = max(1.0, LARGEST_EXCESS * share * everything)
    if champion is not None:
        most = max(most, alerts(champion))
    return Check(
        "false alarms a day",
        f"at most {most:.1f}",
        f"{alerts(challenger):.1f}",
        f"{alerts(champion):.1f}" if champion is not None else "",
        alerts(challenger) <= most,
    )


def _kinds(exam: Exam, challenger: Contender, champion: Contender | None) -> list[Check]:
    """The kind of fault that the challenger finds least often, next to the champion."""
    if champion is None or exam.trial.kinds is None:
        return []
    found = {
        of.name: found_by_kind(of.scores > of.threshold, exam.trial.kinds)
        for of in (challenger, champion)
    }
    ours, theirs = found[challenger.name], found[champion.name]
    if not theirs:
        return []
    worst = min(theirs, key=lambda kind: ours[kind].share - theirs[kind].share)
    return [
        Check(
            f"faults of one kind ({worst})",
            f"not less by more than {LARGEST_LOSS:.0%}",
            f"{ours[worst].share:.0%} found",
            f"{theirs[worst].share:.0%} found",
            ours[worst].share >= theirs[worst].share - LARGEST_LOSS,
        )
    ]


def _cost(name: str, field: str, challenger: Contender, champion: Contender | None) -> Check:
    """Within the bound, or no worse than the champion."""
    ours = float(getattr(challenger, field))
    theirs = None if champion is None else float(getattr(champion, field))
    if field == "megabytes":
        most = max(MOST_MEGABYTES, theirs or 0.0)
        wanted, passed = f"at most {most:,.0f}", ours <= most
    else:
        least = min(LEAST_EVENTS_PER_SECOND, theirs or np.inf)
        wanted, passed = f"at least {least:,.0f}", ours >= least
    told = "" if theirs is None else f"{theirs:,.1f}"
    return Check(name, wanted, f"{ours:,.1f}", told, bool(passed))


def _golden(challenger: Contender, champion: Contender | None) -> list[Check]:
    if not challenger.golden:
        return []
    missed = [name for name, is_found in challenger.golden.items() if not is_found]
    told = f"{len(challenger.golden) - len(missed)} of {len(challenger.golden)}"
    if missed:
        told += f", not {', '.join(missed[:3])}" + (" and others" if len(missed) > 3 else "")
    theirs = "" if champion is None else f"{sum(champion.golden.values())} of them"
    return [Check("golden incidents", "all found", told, theirs, not missed)]


def _reason(
    challenger: Contender, champion: Contender | None, first: Check, failed: Sequence[Check]
) -> str:
    """The verdict in a sentence."""
    if failed:
        why = "; ".join(
            f"{check.name}: {check.challenger}, wanted {check.wanted}"
            + (f", the champion has {check.champion}" if check.champion else "")
            for check in failed
        )
        return f"{challenger.name} is refused: {why}"
    if champion is None:
        return f"{challenger.name} is the first champion: {first.name} {first.challenger}"
    return (
        f"{challenger.name} is better than {champion.name}: {first.name} {first.challenger}, "
        f"the champion's is {first.champion}"
    )
