"""What each entity never does though its peers do.

Where the session key is a user, a host or an account, it comes back in many windows, and what is
usual for one is a surprise from another. Keys of blocks and requests do not come back: for these,
and where windows have no key, nothing is learnt and nothing is odd.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import binom

from ml.windows import Windows

Floats = npt.NDArray[np.float64]

# Fewer windows of its own say too little of an entity's habits.
LEAST_WINDOWS = 20
PERIODS = 10
# A deed is a template that occurs in a window at least so often: 1, 2, 4, 8 and so on.
DEED = ["template_id", "at_least"]
HELD = {
    "window": pl.Int64,
    "entity": pl.String,
    "template_id": pl.String,
    "at_least": pl.Int64,
    "count": pl.UInt32,
}
TABLES = ("entities", "deeds", "done")


@dataclass(frozen=True, slots=True)
class Entities:
    """The habits of the entities with `LEAST_WINDOWS` windows or more, if there are two or more.

    A window of an entity is odd where it holds a template, or so many of it, that the entity was
    never seen to do, or half as many (so that a little more than ever is not odd), while its peers
    do: had it their mean rate p_t, so few of its n_e windows with it would come by chance to fewer
    than one in `PERIODS` of all pairs of entity and deed. By how much is minus the logarithm of
    the rate that is to be expected of it, (k_et + a p_t) / (n_e + a): its own, shrunk towards that
    of its peers as if a = 1 window of theirs were its own (the posterior mean of a beta-binomial).

    Habits must have held while they were learnt. What an entity does not in the earlier half of its
    windows, by the rule above, and does in the later, is not judged in anybody. And where there is
    a window that would have been odd, had it not been learnt from, as many more are to be expected
    in as many later windows (Good, "The population frequencies of species and the estimation of
    population parameters", 1953): then nothing is judged, or nothing that is to occur so often.

    entities: `windows` of each, and how many of them are not trusted, `untrusted`.
    deeds: those that are judged, with the share of windows that hold them, summed over all
        entities, `rate`.
    done: in how many windows of an entity a deed was `seen`, where it was.
    """

    entities: pl.DataFrame
    deeds: pl.DataFrame
    done: pl.DataFrame

    @classmethod
    def fit(cls, windows: Windows, anomalous: int = 0) -> "Entities":
        """windows: in order of time. anomalous: how many of them may be anomalous: that share of an
        entity's windows is not trusted, and so many windows may be loose."""
        share = anomalous / max(len(windows), 1)
        held = _held(windows, _recurring(windows))
        learnt = cls._of(held, share)
        deeds = learnt.deeds.join(_changed(held, share), on=DEED, how="anti").join(
            learnt._loose(held, anomalous), on="at_least", how="anti"
        )
        return replace(learnt, deeds=deeds)

    @classmethod
    def _of(cls, held: pl.DataFrame, share: float) -> "Entities":
        """share: of the windows that are not trusted."""
        entities = (
            held.group_by("entity")
            .agg(windows=pl.col("window").n_unique())
            .with_columns(untrusted=(share * pl.col("windows")).cast(pl.UInt32))
        )
        done = held.group_by("entity", *DEED).agg(seen=pl.len())
        deeds = (
            done.join(entities, on="entity")
            .group_by(DEED)
            # Rounded, as the last digits of a sum depend on the order of the threads.
            .agg(rate=(pl.col("seen") / pl.col("windows")).sum().round(12))
        )
        return cls(entities.sort("entity"), deeds.sort(DEED), done.sort("entity", *DEED))

    def excess_of_windows(self, windows: Windows) -> Floats:
        """How odd the oddest template of each window is for its entity, shape (n,), in natural
        logarithms of its rate; 0 for windows without odd ones, that is nearly all."""
        excess = np.zeros(len(windows))
        odd = self.odd(windows)
        np.maximum.at(excess, odd["window"].to_numpy(), odd["excess"].to_numpy())
        return excess

    def odd(self, windows: Windows) -> pl.DataFrame:
        """What is odd for the entity of its window: `window` (row number), `entity`, `template_id`,
        its `count` in the window, `excess`; and in how many of the entity's `windows` it was `seen`
        `half` as often as in the deed that is odd, or once. Of a template the oddest deed is told.
        """
        return (
            self._odd(_held(windows, self.entities["entity"]))
            .sort("window", "template_id", "excess", "at_least")
            .group_by("window", "template_id", maintain_order=True)
            .last()
        )

    def _odd(self, held: pl.DataFrame) -> pl.DataFrame:
        """The deeds that are odd, of those that are held, with the columns of `odd`."""
        peers = len(self.entities) - 1
        if peers < 1 or self.deeds.is_empty():
            return held.clear().with_columns(windows=0, seen=0, half=0, excess=0.0)
        half = pl.max_horizontal(pl.col("at_least") // 2, 1)
        found = (
            held.join(self.deeds, on=DEED)
            .join(self.entities, on="entity")
            .with_columns(half=half)
            .join(
                self.done,
                left_on=["entity", "template_id", "half"],
                right_on=["entity", *DEED],
                how="left",
            )
            .with_columns(pl.col("seen").fill_null(0))
            .filter(pl.col("seen") <= pl.col("untrusted"))
        )
        own = found["seen"] / found["windows"]
        rate = ((found["rate"] - own) / peers).clip(0, 1)
        pairs = len(self.entities) * len(self.deeds)
        by_chance = binom.logcdf(found["seen"], found["windows"], rate)
        expected = (found["seen"] + rate) / (found["windows"] + 1)
        return found.with_columns(excess=-expected.log()).filter(
            pl.Series(by_chance < -np.log(PERIODS * pairs))
        )

    def _loose(self, held: pl.DataFrame, anomalous: int) -> pl.DataFrame:
        """The numbers `at_least` of which too many windows would be odd if an entity's habits were
        learnt without the window."""
        one_more = self.entities.with_columns(pl.col("untrusted") + 1)
        return (
            replace(self, entities=one_more)
            ._odd(held)
            .group_by("at_least")
            .agg(windows=pl.col("window").n_unique())
            .filter(pl.col("windows") > anomalous)
        )

    def save(self, folder: Path) -> None:
        for name in TABLES:
            getattr(self, name).write_parquet(folder / f"{name}.parquet")

    @classmethod
    def load(cls, folder: Path) -> "Entities":
        return cls(*(pl.read_parquet(folder / f"{name}.parquet") for name in TABLES))


def _changed(held: pl.DataFrame, share: float) -> pl.DataFrame:
    """The deeds that an entity came to do in the later half of its windows."""
    place = pl.col("window").rank("dense").over("entity")
    is_later = held.select(place > place.max().over("entity") // 2).to_series()
    return (
        Entities._of(held.filter(~is_later), share)
        ._odd(held.filter(is_later))
        .group_by("entity", *DEED)
        .agg(times=pl.len())
        .join(Entities._of(held, share).entities, on="entity")
        .filter(pl.col("times") > pl.col("untrusted"))
    )


def _recurring(windows: Windows) -> pl.Series:
    """The keys of `LEAST_WINDOWS` windows or more."""
    if "session_key" not in windows.spans.columns:
        return pl.Series("entity", [], pl.String)
    return (
        windows.spans.group_by(entity="session_key")
        .len()
        .filter(pl.col("entity").is_not_null() & (pl.col("len") >= LEAST_WINDOWS))["entity"]
    )


def _held(windows: Windows, entities: pl.Series) -> pl.DataFrame:
    """The deeds in the windows of these entities: `window` (row number), `entity`, DEED, and of the
    template `count` in the window."""
    if entities.is_empty() or "session_key" not in windows.spans.columns:
        return pl.DataFrame(schema=HELD)
    keys = windows.spans.select(
        entity="session_key", window=pl.int_range(pl.len(), dtype=pl.Int64)
    ).filter(pl.col("entity").is_in(entities.implode()))
    powers = pl.int_ranges(pl.col("count").log(2).floor().cast(pl.Int64) + 1)
    return (
        windows.events.select("template_id", window=pl.Series(windows.rows_of_events))
        .join(keys, on="window")
        .group_by("window", "entity", "template_id")
        .agg(count=pl.len())
        .with_columns(at_least=powers)
        .explode("at_least")
        .with_columns(at_least=pl.lit(2, pl.Int64).pow(pl.col("at_least")))
        .select("window", "entity", *DEED, "count")
    )
