"""What a moment, such as a release, changed in the templates that occur."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binom

# A rate has changed when it is at least so many times what it was, or so small a part of it,
LEAST_FACTOR = 2.0
# and chance alone would do that once in so many powers of ten.
LEAST_SURPRISE = 5.0
LARGEST_SURPRISE = 300.0


@dataclass(frozen=True, slots=True)
class Use:
    """Events of a template before a moment and since."""

    template_id: str
    before: int
    since: int


@dataclass(frozen=True, slots=True)
class Change:
    """before_per_day, since_per_day: events; surprise: -log10 of the chance of such a count, had
    the rate stayed as it was."""

    template_id: str
    kind: Literal["new", "gone", "more", "less"]
    before_per_day: float
    since_per_day: float
    surprise: float


def changes(uses: Iterable[Use], days_before: float, days_since: float) -> list[Change]:
    """The templates that are new, gone or changed in rate, the most surprising first.

    New is what had no event before, gone what has had none since, however rare it is: `surprise`
    says how much that means. Rates are compared as Poisson counts: with n events in all, those
    since are binomial, with the share of the time that has passed since. Logs come in bursts,
    which is why a rate must also differ by LEAST_FACTOR. Raises ValueError for periods that are
    not longer than nothing.
    """
    if days_before <= 0 or days_since <= 0:
        raise ValueError(f"nothing to compare: {days_before} days before, {days_since} since")
    found = [_change(use, days_before, days_since) for use in uses if use.before or use.since]
    kept = [change for change in found if change is not None]
    return sorted(kept, key=lambda each: (-each.surprise, each.template_id))


def _change(use: Use, days_before: float, days_since: float) -> Change | None:
    before, since = use.before / days_before, use.since / days_since
    total, share = use.before + use.since, days_since / (days_before + days_since)
    kind: Literal["new", "gone", "more", "less"] = "more" if since > before else "less"
    if kind == "more":
        log_p = float(binom.logsf(use.since - 1, total, share))
    else:
        log_p = float(binom.logcdf(use.since, total, share))
    surprise = max(0.0, min(-log_p / math.log(10), LARGEST_SURPRISE))
    if not use.before or not use.since:
        kind = "gone" if use.before else "new"
    elif surprise < LEAST_SURPRISE or max(before, since) < LEAST_FACTOR * min(before, since):
        return None
    return Change(use.template_id, kind, before, since, surprise)
