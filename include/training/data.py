"""The data of a training run: the windows of a period, written down once.

Trials, training and the gate read the same windows, whatever is ingested meanwhile. They lie in the
bucket of the lake under `training/source=…/<fingerprint>/`; the next run's take their place.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from include import tracking
from include.database import catalogue, labels, ledger
from include.lake.events import windows_within
from include.sources import LogSource
from include.training.jobs import Prepared, Request
from include.workspace import Workspace
from ml.labels import anomalous_windows, are_looked_at
from ml.model import LEAST_WINDOWS
from ml.splits import TimeSplit, TooFewWindows, split_at, split_by_share
from ml.tuning import Exam, folds, marked
from ml.windows import Windows

log = logging.getLogger(__name__)

Bools = npt.NDArray[np.bool_]

# The later fifth is for the gate.
TRAIN_SHARE = 0.8
# With fewer windows to judge on, chance decides.
LEAST_JUDGED = 20
# Half of what is trained on must be enough to learn from: the first fold has no more.
LEAST_TRAINED = 4 * LEAST_WINDOWS
# What ended so long before the period did is not what the coming nights are like.
STALE = timedelta(days=7)
ABOUT = "dataset.json"


@dataclass(frozen=True, slots=True)
class Dataset:
    """windows: of the whole period. is_anomalous: as labelled, shape (n,). cut: where the held-out
    part begins. about: what it was made of."""

    windows: Windows
    is_anomalous: Bools
    cut: datetime
    about: dict[str, Any]

    @property
    def split(self) -> TimeSplit:
        return split_at(self.windows, self.cut)

    def folds(self, request: Request) -> list[Exam]:
        """The exams that tuning is judged on: all of them before the cut."""
        train = self.split.train
        known = marked(train, self.windows, self.is_anomalous)
        return folds(train, known, request["seed"], request["alerts_per_day"])

    def exam(self, request: Request) -> Exam:
        """The exam of the gate: what starts at the cut, for those who learnt what ended before."""
        split = self.split
        in_train, in_test = (
            marked(part, self.windows, self.is_anomalous) for part in (split.train, split.test)
        )
        return Exam.of(split, in_train, in_test, request["seed"], request["alerts_per_day"])


def prepare(workspace: Workspace, request: Request) -> Prepared:
    """Write down the windows of the period. Raises TooFewWindows, with what is needed, where there
    are too few, where they are stale, or where the champion has learnt nearly all of them."""
    source = workspace.source(request["source"])
    start, end, known_until = (
        datetime.fromisoformat(time)
        for time in (request["start"], request["end"], request["known_until"])
    )
    windows = windows_within(workspace, source, start, end, known_until)
    _refuse_stale(source, windows, start, end)
    with workspace.engine.connect() as conn:
        known = labels.labels_of(conn, source.name)
        version = catalogue.catalogue_version(conn, source.name)
        etags = ledger.etags_of(conn, source.name, set(windows.events["object_key"].unique()))
    is_anomalous = anomalous_windows(windows, known)
    has_labels = are_looked_at(windows, known)
    cut = _cut(workspace, source.name, windows)
    fingerprint = _fingerprint(source, windows, is_anomalous, cut, has_labels=has_labels)
    about = {
        "source": source.name,
        "period_start": start.isoformat(),
        "period_end": end.isoformat(),
        "held_out_from": cut.isoformat(),
        "newest_window": _newest(windows).isoformat(),
        "windows": len(windows),
        "windows_labelled_anomalous": int(is_anomalous.sum()),
        "events": len(windows.events),
        "templates": windows.events["template_id"].n_unique(),
        "windowing": source.windowing.model_dump(mode="json"),
        "catalogue_version": version,
        "fingerprint": fingerprint,
        "objects": etags,
    }
    _write(workspace, source.name, fingerprint, Dataset(windows, is_anomalous, cut, about))
    log.info("%s: %d windows, held out from %s", source.name, len(windows), cut)
    return Prepared(
        request=request,
        fingerprint=fingerprint,
        cut=cut.isoformat(),
        has_labels=has_labels,
    )


def address(workspace: Workspace, source: str, fingerprint: str) -> str:
    return f"s3://{workspace.settings.bucket_lake}/{_prefix(source, fingerprint)}"


def read(workspace: Workspace, prepared: Prepared) -> Dataset:
    """What `prepare` wrote. Raises LookupError where a later run's data have taken its place."""
    source = prepared["request"]["source"]
    prefix = _prefix(source, prepared["fingerprint"])
    bucket = workspace.settings.bucket_lake
    if not workspace.store.exists(bucket, f"{prefix}{ABOUT}"):
        raise LookupError(
            f"the windows of this run of {source} gave way to those of a later run: clear the "
            "task `prepare` too, or start a new run"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name in ("spans.parquet", "events.parquet", "texts.json", "anomalous.json"):
            data = workspace.store.get_bytes(bucket, f"{prefix}{name}")
            (Path(folder) / name).write_bytes(data)
        windows = Windows.read(Path(folder))
        is_anomalous = np.zeros(len(windows), dtype=np.bool_)
        is_anomalous[json.loads((Path(folder) / "anomalous.json").read_text())] = True
    about = json.loads(workspace.store.get_bytes(bucket, f"{prefix}{ABOUT}"))
    return Dataset(windows, is_anomalous, datetime.fromisoformat(prepared["cut"]), about)


def _prefix(source: str, fingerprint: str = "") -> str:
    folder = f"training/source={source}/"
    return f"{folder}{fingerprint}/" if fingerprint else folder


def _write(workspace: Workspace, source: str, fingerprint: str, dataset: Dataset) -> None:
    bucket, prefix = workspace.settings.bucket_lake, _prefix(source, fingerprint)
    # Written last: with it the rest is whole.
    if not workspace.store.exists(bucket, f"{prefix}{ABOUT}"):
        with _files_of(dataset) as files:
            for name, path in files.items():
                workspace.store.put_bytes(bucket, f"{prefix}{name}", path.read_bytes())
        about = json.dumps(dataset.about, indent=1).encode()
        workspace.store.put_bytes(bucket, f"{prefix}{ABOUT}", about)
    others = workspace.store.list(bucket, _prefix(source))
    workspace.store.delete(bucket, [e.key for e in others if not e.key.startswith(prefix)])


@contextmanager
def _files_of(dataset: Dataset) -> Iterator[dict[str, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        dataset.windows.write(Path(folder))
        rows = np.flatnonzero(dataset.is_anomalous).tolist()
        (Path(folder) / "anomalous.json").write_text(json.dumps(rows))
        yield {path.name: path for path in sorted(Path(folder).iterdir())}


def _refuse_stale(source: LogSource, windows: Windows, start: datetime, end: datetime) -> None:
    if not len(windows):
        raise TooFewWindows(
            f"{source.name} has no window between {start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} "
            f"UTC, at least {LEAST_TRAINED + LEAST_JUDGED} are needed: choose a period that holds "
            "logs, or ingest some"
        )
    newest = _newest(windows)
    if end - newest > STALE:
        raise TooFewWindows(
            f"the newest window of {source.name} ended {newest:%Y-%m-%d %H:%M} UTC, more than "
            f"{STALE.days} days before the end of the period: ingest newer logs, or let the period "
            "end there"
        )


def _newest(windows: Windows) -> datetime:
    newest: Any = windows.spans["ends_at"].max()
    return cast("datetime", newest)


def _cut(workspace: Workspace, source: str, windows: Windows) -> datetime:
    """Where the held-out part begins: neither the challenger nor the champion has learnt it.

    It is the later fifth of what the champion has not learnt, so that a challenger knows most of
    what is new; where nothing has come since, it is what the champion was judged on.
    """
    needed = LEAST_TRAINED + LEAST_JUDGED
    if len(windows) < needed:
        raise TooFewWindows(
            f"{source} has {len(windows)} windows in the period, at least {needed} are needed: "
            "choose a longer period, or wait for more logs"
        )
    client = tracking.connect(workspace.settings)
    champion = tracking.aliases(client, source).champion
    if champion is None:
        return split_by_share(windows, TRAIN_SHARE).cut
    known = tracking.parameters_of(client, source, champion)
    learnt_until, newest = (
        datetime.fromisoformat(known[name]) for name in ("held_out_from", "newest_window")
    )
    new = windows.where((windows.spans["starts_at"] >= learnt_until).to_numpy())
    if len(new) < LEAST_JUDGED:
        raise TooFewWindows(
            f"the champion of {source} has learnt until {learnt_until:%Y-%m-%d %H:%M} UTC, and "
            f"only {len(new)} windows of the period are later, at least {LEAST_JUDGED} are needed "
            "to compare a challenger with it: choose a later period, or wait for more logs"
        )
    if int((new.spans["ends_at"] > newest).sum()) < LEAST_JUDGED:
        return learnt_until
    first = min(round(len(new) * TRAIN_SHARE), len(new) - LEAST_JUDGED)
    cut: datetime = new.spans["starts_at"][first]
    return cut


def _fingerprint(
    source: LogSource, windows: Windows, known: Bools, cut: datetime, *, has_labels: bool
) -> str:
    """The same for the same windows, events, labels and cut, whatever the run."""
    told = [source.windowing.model_dump_json(), cut.isoformat(), has_labels]
    digest = sha256(json.dumps(told).encode())
    for part in (windows.spans["window_id"], windows.events["template_id"]):
        digest.update(part.hash(seed=0).to_numpy().tobytes())
    digest.update(windows.offsets.tobytes() + known.tobytes())
    return digest.hexdigest()[:32]
