"""Splits of windows whose truth is known, out of files: for `loganalyzer evaluate`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from include.database.labels import (
    VERDICTS,
    InvalidLabels,
    LabelRow,
    label_frame,
    read_label_csv,
)
from include.ingest.decode import read_bytes
from include.ingest.files import (
    NO_LINES,
    LogFiles,
    cut_windows,
    lines_matching,
    read_files,
    windows_at,
    with_templates,
)
from include.sources import LogSource
from ml.labels import anomalous_windows
from ml.splits import Split, rolling_origins, split_by_files, split_in_order
from ml.windows import Windows, windows_from_events

Bools = npt.NDArray[np.bool_]


class InvalidSequences(ValueError):
    """A file of sequences that cannot be used; the message names it, the line and what to do."""


@dataclass(frozen=True, slots=True)
class LabelledSplit:
    """in_train, in_test: which windows of each part are labelled anomalous. origin: for people,
    the share of the windows that train, or the name of the file that does."""

    origin: str
    split: Split
    in_train: Bools
    in_test: Bools


def splits_of_logs(
    paths: Sequence[Path],
    source: LogSource,
    labels: Path | None,
    label_pattern: str | None,
    train: Path | None,
    origins: Sequence[float],
) -> tuple[list[LabelledSplit], int]:
    """One split for each origin, or one if a file is to train; and how many lines do not parse.

    labels: a CSV file as `read_label_csv` takes it, or one that labels lines: `label`,
        `line_number` from one and, where there are several files, `file`.
    label_pattern: an expression that marks lines.

    Windows that neither speaks of are normal. Raises InvalidLabels where they are given and speak
    of no window.
    """
    known = _known([*paths, *([train] if train else [])], labels, label_pattern)
    files, windows, is_anomalous = _labelled(paths, source, known)
    messages, lost = files.events["message"], len(files.quarantined)
    if (labels or label_pattern) and not is_anomalous.any():
        raise InvalidLabels(
            f"{labels or label_pattern} marks none of the {len(windows)} windows as anomalous: "
            "check that it belongs to these logs"
        )
    if train:
        early, learnt, in_train = _labelled([train], source, known)
        split = split_by_files(learnt, windows)
        split = with_templates(split, early.events["message"], messages, source)
        lost += len(early.quarantined)
        return [LabelledSplit(train.name, split, in_train, is_anomalous)], lost
    anomalous = windows.spans["window_id"].filter(is_anomalous).implode()
    splits = []
    for share, split in zip(origins, rolling_origins(windows, origins), strict=True):
        in_train, in_test = (
            part.spans["window_id"].is_in(anomalous).to_numpy()
            for part in (split.train, split.test)
        )
        named = with_templates(split, messages, messages, source)
        splits.append(LabelledSplit(f"{share:.0%}", named, in_train, in_test))
    return splits, lost


@dataclass(frozen=True, slots=True)
class _Known:
    """labels: as of `label_frame`. lines: the addresses of anomalous lines."""

    labels: pl.DataFrame
    lines: pl.DataFrame


def _known(paths: Sequence[Path], labels: Path | None, label_pattern: str | None) -> _Known:
    rows: list[LabelRow] = []
    lines = [lines_matching(paths, label_pattern) if label_pattern else NO_LINES]
    if labels and "line_number" in columns_of(labels):
        lines.append(_labelled_lines(labels, paths))
    elif labels:
        rows = read_label_csv(labels)
    return _Known(label_frame(rows), pl.concat(lines).unique())


def _labelled_lines(path: Path, logs: Sequence[Path]) -> pl.DataFrame:
    """The addresses of the lines that a CSV file labels anomalous. Lines of files that are not
    among the logs are left out. Raises InvalidLabels."""
    columns = columns_of(path)
    if "label" not in columns or ("file" not in columns and len(logs) > 1):
        raise InvalidLabels(
            f"{path}: line 1: expected the columns label, line_number and, for several logs, "
            f"file, got {', '.join(columns)}"
        )
    found = []
    rows = csv.reader(_lines(path))
    next(rows)
    for row in rows:
        named = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        word, number = named.get("label", "").lower(), named.get("line_number", "")
        if word not in VERDICTS or not re.fullmatch(r"[1-9][0-9]{0,17}", number):
            raise InvalidLabels(
                f"{path}: line {rows.line_num}: expected a line number from one and a label, "
                f"anomalous or normal, got {','.join(row)[:80]!r}"
            )
        if VERDICTS[word]:
            of_file = [log for log in logs if _is_named(log, named.get("file", ""))]
            found += [(str(log), int(number)) for log in of_file]
    return pl.DataFrame(found, schema=NO_LINES.schema, orient="row")


def _is_named(log: Path, name: str) -> bool:
    """Whether the path ends in this name; no name stands for any log."""
    parts = Path(name).parts
    return not parts or log.parts[-len(parts) :] == parts


def _labelled(
    paths: Sequence[Path], source: LogSource, known: _Known
) -> tuple[LogFiles, Windows, Bools]:
    files = read_files(paths, source)
    windows = cut_windows(files, source)
    is_anomalous = anomalous_windows(windows, known.labels)
    return files, windows, is_anomalous | windows_at(files, windows, known.lines)


def splits_of_sequences(
    path: Path, train: Path | None, origins: Sequence[float]
) -> list[LabelledSplit]:
    """The same of files that hold ready windows, in order: a CSV with the columns `sequence`
    (events between blanks) and, where it is known, `label`. Raises InvalidSequences."""
    windows, is_anomalous = _read_sequences(path)
    if train:
        learnt, in_train = _read_sequences(train)
        return [LabelledSplit(train.name, split_by_files(learnt, windows), in_train, is_anomalous)]
    splits = []
    for share in origins:
        split = split_in_order(windows, share)
        cut = len(split.train)
        splits.append(LabelledSplit(f"{share:.0%}", split, is_anomalous[:cut], is_anomalous[cut:]))
    return splits


def columns_of(path: Path) -> list[str]:
    """The names in the first line of a CSV file, in small letters."""
    return [name.strip().lower() for name in next(csv.reader(_lines(path)), [])]


def _lines(path: Path) -> io.StringIO:
    # A session may be longer than what the module takes for a mistake.
    csv.field_size_limit(2**31 - 1)
    return io.StringIO(read_bytes(path).decode("utf-8-sig", errors="replace"), newline="")


def _read_sequences(path: Path) -> tuple[Windows, Bools]:
    columns = columns_of(path)
    if "sequence" not in columns:
        raise InvalidSequences(
            f"{path}: line 1: expected the columns sequence and label, got {', '.join(columns)}"
        )
    sequences, truth = [], []
    rows = csv.reader(_lines(path))
    next(rows)
    for row in rows:
        named = dict(zip(columns, row, strict=False))
        word = named.get("label", "normal").strip().lower()
        if word not in VERDICTS or not named.get("sequence", "").split():
            raise InvalidSequences(
                f"{path}: line {rows.line_num}: expected events between blanks and a label, "
                f"anomalous or normal, got {','.join(row)[:80]!r}"
            )
        sequences.append(named["sequence"].split())
        truth.append(VERDICTS[word])
    return windows_of_sequences(sequences), np.array(truth, dtype=np.bool_)


def windows_of_sequences(sequences: Sequence[Sequence[str]]) -> Windows:
    """A window for each sequence of template ids, in this order, without times."""
    lengths = np.array([len(each) for each in sequences], dtype=np.int64)
    numbers = np.repeat(np.arange(len(sequences)), lengths)
    events = pl.DataFrame(
        {
            # As wide as it takes to sort numbers as text.
            "window_id": pl.Series(numbers).cast(pl.String).str.zfill(9),
            "template_id": [event for each in sequences for event in each],
        },
        schema={"window_id": pl.String, "template_id": pl.String},
    )
    return windows_from_events(events)
