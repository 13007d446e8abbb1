"""evaluate: how good the detectors are on somebody's own logs, without a stack."""

from __future__ import annotations

import csv
import gzip
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.common import Exit, Json, console, errors, fail, print_json, print_table

if TYPE_CHECKING:
    import numpy as np

    from include.sources import LogSource
    from ml.splits import Split
    from ml.trials import Outcome, Trial
    from ml.windows import Windows

SETTINGS = ("normal", "contaminated", "injected")


@dataclass(frozen=True)
class Part:
    """Windows, which of them are labelled anomalous, and the messages of their events."""

    windows: Windows
    is_anomalous: np.ndarray
    messages: Any


def register(app: typer.Typer) -> None:
    app.command()(evaluate)


def evaluate(
    files: Annotated[
        list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="Log files.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="How they read; guessed by default."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV, as for `labels import`."),
    ] = None,
    label_pattern: Annotated[
        str | None, typer.Option(help="An expression: windows with a line that matches are odd.")
    ] = None,
    sequences: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV of ready windows in place of logs: `sequence` (events between blanks) and, "
            "where known, `label`.",
        ),
    ] = None,
    setting: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(SETTINGS)}; by default the first where there are labels."),
    ] = None,
    train_fraction: Annotated[
        list[float] | None, typer.Option(help="Share of the windows to learn; once per origin.")
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Learn this file; judge the others."),
    ] = None,
    families: Annotated[
        str | None, typer.Option(help="Names, with commas; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn at random.")] = 0,
    plots: Annotated[Path | None, typer.Option(help="A folder for pictures.")] = None,
    json: Json = False,
) -> None:
    """Measure detectors on logs of your own. No stack is needed and nothing is stored.

    They learn the earlier windows and judge the later ones. Settings: `normal` leaves labelled
    anomalies out of training, `contaminated` leaves them in, `injected` plants faults in the later
    windows and looks for them, which needs no labels.

    Example: loganalyzer evaluate app.log --labels labels.csv --train-fraction 0.5
    """
    from include.database.labels import InvalidLabels
    from include.ingest.decode import UnreadableObject
    from include.sources import InvalidSource
    from ml.families import FAMILIES, family
    from ml.splits import TooFewWindows

    if bool(files) == bool(sequences):
        fail("give log files, or `--sequences FILE.csv` in their place", Exit.USAGE)
    has_labels = bool(labels or label_pattern or (sequences and "label" in _columns(sequences)))
    setting = setting or ("normal" if has_labels else "injected")
    if setting not in SETTINGS:
        fail(f"no setting {setting!r}; there are: {', '.join(SETTINGS)}", Exit.USAGE)
    if setting != "injected" and not has_labels:
        fail(f"`{setting}` needs labels; `--setting injected` does without", Exit.USAGE)
    names = families.split(",") if families else list(FAMILIES)
    origins = train_fraction or [0.5]
    try:
        for name in names:
            family(name)
        splits = (
            _sequence_splits(sequences, train, origins)
            if sequences
            else _log_splits(files or [], source, labels, label_pattern, train, origins)
        )
        results, over_origins = _results(splits, setting, names, seed, plots)
    except (InvalidLabels, InvalidSource, TooFewWindows, UnreadableObject, ValueError) as error:
        fail(str(error), Exit.USAGE)
    if json:
        document = {"setting": setting, "seed": seed, "origins": results}
        print_json(document | {"over_origins": over_origins})
    else:
        _print(setting, results, over_origins)


def _results(
    splits: list[tuple[str, Split, np.ndarray, np.ndarray]],
    setting: Any,
    names: list[str],
    seed: int,
    plots: Path | None,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The figures of each origin, and of each family the median and range over the origins."""
    from ml.evaluation import over_folds
    from ml.trials import Trial

    results = []
    by_family: dict[str, list[Any]] = {name: [] for name in names}
    for origin, split, in_train, in_test in splits:
        trial = Trial.of(split, setting, in_train, in_test, seed)
        outcomes = []
        for name in names:
            with errors.status(f"{name}, {origin}"):
                outcomes.append(trial.run(name))
            by_family[name].append(outcomes[-1].report.over_all)
        if plots:
            _plot(plots, origin, trial, outcomes)
        results.append(
            {
                "origin": origin,
                "train_windows": len(trial.learnt),
                "leaks": trial.leaks.as_dict(),
                "families": {each.family: each.as_dict() for each in outcomes},
            }
        )
    spreads = {
        name: {figure: asdict(each) for figure, each in over_folds(folds).items()}
        for name, folds in by_family.items()
    }
    return results, spreads


def _log_splits(
    files: list[Path],
    source_file: Path | None,
    labels: Path | None,
    label_pattern: str | None,
    train: Path | None,
    origins: list[float],
) -> list[tuple[str, Split, np.ndarray, np.ndarray]]:
    from include.ingest.files import with_templates
    from include.sources import load_source
    from include.sources.detect import propose_source
    from ml.splits import rolling_origins, split_by_files

    source = load_source(source_file) if source_file else propose_source(files[0]).source
    part = _part(files, source, labels, label_pattern)
    if train:
        learnt = _part([train], source, labels, label_pattern)
        split = split_by_files(learnt.windows, part.windows)
        split = with_templates(split, learnt.messages, part.messages, source)
        return [(train.name, split, learnt.is_anomalous, part.is_anomalous)]
    anomalous = part.windows.spans["window_id"].filter(part.is_anomalous).implode()
    splits = []
    for share, split in zip(origins, rolling_origins(part.windows, origins), strict=True):
        with_ids = with_templates(split, part.messages, part.messages, source)
        truths = (
            each.spans["window_id"].is_in(anomalous).to_numpy()
            for each in (with_ids.train, with_ids.test)
        )
        splits.append((f"{share:.0%}", with_ids, *truths))
    return splits


def _part(
    paths: list[Path], source: LogSource, labels: Path | None, label_pattern: str | None
) -> Part:
    import numpy as np

    from include.database.labels import label_frame, read_label_csv
    from include.ingest.files import cut_windows, events_at, lines_matching, read_files
    from ml.labels import anomalous_windows

    files = read_files(paths, source)
    if len(files.quarantined):
        errors.print(f"{len(files.quarantined):,} lines do not parse and are left out")
    windows = cut_windows(files, source)
    is_anomalous = anomalous_windows(windows, label_frame(read_label_csv(labels) if labels else []))
    if label_pattern:
        address = ["object_key", "line_number"]
        marked = events_at(files, lines_matching(paths, label_pattern))
        of_window = np.repeat(np.arange(len(windows)), windows.lengths)
        rows = windows.events.select(address).with_row_index().join(marked, on=address, how="semi")
        is_anomalous[of_window[rows["index"].to_numpy()]] = True
    return Part(windows, is_anomalous, files.events["message"])


def _columns(path: Path) -> list[str]:
    with _opened(path) as lines:
        return [name.strip().lower() for name in next(csv.reader(lines), [])]


def _opened(path: Path) -> Any:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", newline="") if is_packed else path.open(newline="")


def _sequence_splits(
    path: Path, train: Path | None, origins: list[float]
) -> list[tuple[str, Split, np.ndarray, np.ndarray]]:
    from ml.splits import split_by_files, split_in_order

    windows, is_anomalous = _read_sequences(path)
    if train:
        learnt, in_train = _read_sequences(train)
        return [(train.name, split_by_files(learnt, windows), in_train, is_anomalous)]
    splits = []
    for share in origins:
        split = split_in_order(windows, share)
        cut = len(split.train)
        splits.append((f"{share:.0%}", split, is_anomalous[:cut], is_anomalous[cut:]))
    return splits


def _read_sequences(path: Path) -> tuple[Windows, np.ndarray]:
    """The windows of a CSV file and which are anomalous. Raises ValueError that names the line."""
    import numpy as np
    import polars as pl

    from include.database.labels import VERDICTS
    from ml.windows import windows_from_events

    columns = _columns(path)
    if "sequence" not in columns:
        raise ValueError(f"{path}: line 1: expected the columns sequence and label, got {columns}")
    sequences, truth = [], []
    with _opened(path) as lines:
        rows = csv.reader(lines)
        next(rows)
        for row in rows:
            named = dict(zip(columns, row, strict=False))
            word = named.get("label", "normal").strip().lower()
            if word not in VERDICTS or not named.get("sequence", "").split():
                raise ValueError(
                    f"{path}: line {rows.line_num}: expected events between blanks and a label, "
                    f"anomalous or normal, got {','.join(row)[:80]!r}"
                )
            sequences.append(named["sequence"].split())
            truth.append(VERDICTS[word])
    lengths = np.array([len(each) for each in sequences], dtype=np.int64)
    numbers = pl.Series(np.arange(len(sequences))).cast(pl.String).str.zfill(9)
    events = pl.DataFrame(
        {
            "window_id": numbers.gather(np.repeat(np.arange(len(sequences)), lengths)),
            "template_id": [event for each in sequences for event in each],
        },
        schema={"window_id": pl.String, "template_id": pl.String},
    )
    return windows_from_events(events), np.array(truth, dtype=np.bool_)


def _print(
    setting: str, results: list[dict[str, Any]], over_origins: dict[str, dict[str, Any]]
) -> None:
    columns = ["learnt", "family", "F1", "95 %", "precision", "recall", "avg. precision"]
    columns += ["F1 distinct", "flagged", "anomalous", "of windows", "a day"]
    rows = [
        [result["origin"], name, *_cells(figures)]
        for result in results
        for name, figures in result["families"].items()
    ]
    print_table(f"Setting: {setting}", columns, rows)
    if len(results) > 1:
        for name, spreads in over_origins.items():
            f1 = spreads["f1"]
            console.print(
                f"{name}: F1 {f1['median']:.3f}, the median of {len(results)} origins "
                f"({f1['least']:.3f} to {f1['most']:.3f})",
                highlight=False,
            )
    for result in results:
        leaks = result["leaks"]
        console.print(
            f"{result['origin']}: {result['train_windows']:,} windows learnt, "
            f"{leaks['embargoed']:,} left out at the cut; {leaks['verbatim_share']:.1%} of the "
            f"tested ones stand verbatim in training; {leaks['templates_new']:,} of their "
            f"templates are new; leaks: {'YES' if leaks['is_leaking'] else 'none'}",
            highlight=False,
        )
        for name, figures in result["families"].items():
            if kinds := figures["found_by_kind"]:
                told = ", ".join(
                    f"{kind} {each['found']}/{each['planted']}" for kind, each in kinds.items()
                )
                console.print(f"  {name} found of the planted: {told}", highlight=False)


def _cells(figures: dict[str, Any]) -> list[str]:
    found, interval = figures["over_all"], figures["intervals"].get("f1")
    ratios = [
        "-" if value is None else f"{value:.3f}"
        for value in (
            *(found[name] for name in ("f1", "precision", "recall", "average_precision")),
            figures["over_distinct"]["f1"],
        )
    ]
    per_day = figures["alerts_per_day"]
    return [
        ratios[0],
        f"{interval[0]:.2f}-{interval[1]:.2f}" if interval else "-",
        *ratios[1:],
        *(f"{found[name]:,}" for name in ("flagged", "anomalous", "windows")),
        "-" if per_day is None else f"{per_day:.1f}",
    ]


def _plot(folder: Path, origin: str, trial: Trial, outcomes: list[Outcome]) -> None:
    """The scores with the threshold, and precision against recall, of each family."""
    import matplotlib.pyplot as plt
    from sklearn.metrics import precision_recall_curve

    folder.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
        for truth, name in ((False, "normal"), (True, "anomalous")):
            scores = outcome.scores[trial.is_anomalous == truth]
            left.hist(scores, bins=40, alpha=0.6, label=name, log=True)
        left.axvline(outcome.threshold, color="black", linestyle="--", label="threshold")
        left.set(xlabel="score", ylabel="windows")
        left.legend()
        if trial.is_anomalous.any():
            precision, recall, _ = precision_recall_curve(trial.is_anomalous, outcome.scores)
            right.step(recall, precision, where="post")
        right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.05))
        figure.suptitle(f"{outcome.family}, {trial.setting}, learnt {origin}")
        figure.savefig(folder / f"{outcome.family}-{origin.replace('%', '')}.png", dpi=120)
        plt.close(figure)
