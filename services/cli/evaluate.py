"""evaluate: how good the detectors are on somebody's own logs, without a stack."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.common import Exit, Json, console, errors, fail, print_json, print_table

if TYPE_CHECKING:
    from include.ingest.labelled import LabelledSplit
    from ml.trials import Outcome, Trial

SETTINGS = ("normal", "contaminated", "injected")


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
        typer.Option(exists=True, dir_okay=False, help="CSV, as for `labels import`, or of lines."),
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
    alerts_per_day: Annotated[
        float | None,
        typer.Option(min=0.001, help="A budget that gives the threshold, for logs with times."),
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
    from include.ingest.labelled import (
        InvalidSequences,
        columns_of,
        splits_of_logs,
        splits_of_sequences,
    )
    from include.sources import InvalidSource, load_source
    from include.sources.detect import propose_source
    from ml.splits import TooFewWindows

    names, origins = _names(families), train_fraction or [0.5]
    _refuse_nonsense(files, sequences, label_pattern, origins)
    if sequences and alerts_per_day:
        fail("--alerts-per-day needs times, which sequences do not have", Exit.USAGE)
    try:
        known = sequences and "label" in columns_of(sequences)
        setting = _setting(setting, has_labels=bool(labels or label_pattern or known))
        if sequences:
            splits, lost = splits_of_sequences(sequences, train, origins), 0
        else:
            logs = files or []
            described = load_source(source) if source else propose_source(logs[0]).source
            splits, lost = splits_of_logs(logs, described, labels, label_pattern, train, origins)
        if lost:
            errors.print(f"{lost:,} lines do not parse and are left out")
        results, over_origins = _results(splits, setting, names, seed, alerts_per_day, plots)
        if plots:
            _plot_origins(plots, setting, results)
    except (
        InvalidLabels,
        InvalidSequences,
        InvalidSource,
        TooFewWindows,
        UnreadableObject,
    ) as error:
        fail(str(error), Exit.USAGE)
    if json:
        document = {"setting": setting, "seed": seed, "origins": results}
        print_json(document | {"over_origins": over_origins})
    else:
        _print(setting, results, over_origins)


def _names(families: str | None) -> list[str]:
    from ml.families import FAMILIES, family

    names = families.split(",") if families else list(FAMILIES)
    for name in names:
        try:
            family(name)
        except ValueError as error:
            fail(str(error), Exit.USAGE)
    return names


def _refuse_nonsense(
    files: list[Path] | None,
    sequences: Path | None,
    label_pattern: str | None,
    origins: list[float],
) -> None:
    from include.sources.formats import check_pattern

    if bool(files) == bool(sequences):
        fail("give log files, or `--sequences FILE.csv` in their place", Exit.USAGE)
    if label_pattern is not None:
        try:
            check_pattern(label_pattern)
        except ValueError as error:
            fail(f"--label-pattern: {error}", Exit.USAGE)
    for share in origins:
        if not 0 < share < 1:
            fail(f"--train-fraction {share}: expected a share between 0 and 1", Exit.USAGE)


def _setting(asked: str | None, *, has_labels: bool) -> str:
    setting = asked or ("normal" if has_labels else "injected")
    if setting not in SETTINGS:
        fail(f"no setting {setting!r}; there are: {', '.join(SETTINGS)}", Exit.USAGE)
    if setting != "injected" and not has_labels:
        fail(f"`{setting}` needs labels; `--setting injected` does without", Exit.USAGE)
    return setting


def _results(
    splits: list[LabelledSplit],
    setting: Any,
    names: list[str],
    seed: int,
    alerts_per_day: float | None,
    plots: Path | None,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The figures of each origin, and of each family the median and range over the origins."""
    from ml.evaluation import over_folds
    from ml.trials import Trial

    results = []
    by_family: dict[str, list[Any]] = {name: [] for name in names}
    for each in splits:
        origin = each.origin
        trial = Trial.of(each.split, setting, each.in_train, each.in_test, seed)
        outcomes = []
        for name in names:
            with errors.status(f"{name}, {origin}"):
                outcomes.append(trial.run(name, alerts_per_day))
            by_family[name].append(outcomes[-1].report.over_all)
        if plots:
            _plot(plots, origin, trial, outcomes)
        results.append(
            {
                "origin": origin,
                "train_windows": len(trial.learnt),
                "leaks": trial.leaks.as_dict(),
                "families": {outcome.family: outcome.as_dict() for outcome in outcomes},
            }
        )
    spreads = {
        name: {figure: asdict(each) for figure, each in over_folds(folds).items()}
        for name, folds in by_family.items()
    }
    return results, spreads


def _print(
    setting: str, results: list[dict[str, Any]], over_origins: dict[str, dict[str, Any]]
) -> None:
    columns = ["learnt", "family", "F1", "95 %", "precision", "recall", "avg. precision"]
    columns += ["F1 distinct", "flagged", "anomalous", "of windows", "a day"]
    columns += ["incidents", "seconds to detect"]
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
    per_day, incidents = figures["alerts_per_day"], figures["incidents"]
    seconds = incidents and incidents["seconds_to_detect"]
    return [
        ratios[0],
        f"{interval[0]:.2f}-{interval[1]:.2f}" if interval else "-",
        *ratios[1:],
        *(f"{found[name]:,}" for name in ("flagged", "anomalous", "windows")),
        "-" if per_day is None else f"{per_day:.1f}",
        f"{incidents['found']:,}/{incidents['count']:,}" if incidents else "-",
        "-" if seconds is None else f"{seconds:,.0f}",
    ]


def _plot(folder: Path, origin: str, trial: Trial, outcomes: list[Outcome]) -> None:
    """The scores with the threshold, and precision against recall, of each family."""
    from include.plots import scores_and_precision

    folder.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        figure = scores_and_precision(
            f"{outcome.family}, {trial.setting}, learnt {origin}",
            outcome.scores,
            outcome.threshold,
            trial.is_anomalous,
        )
        figure.savefig(folder / f"{outcome.family}-{origin.replace('%', '')}.png", dpi=120)


def _plot_origins(folder: Path, setting: str, results: list[dict[str, Any]]) -> None:
    """F1 of each family with its interval, side by side, for each origin."""
    import matplotlib.pyplot as plt
    import numpy as np

    names = list(results[0]["families"])
    width = 0.8 / len(names)
    figure, axes = plt.subplots(figsize=(max(5, 2 + len(results) * len(names) * 0.5), 4))
    for place, name in enumerate(names):
        told = [result["families"][name] for result in results]
        f1s = np.array([each["over_all"]["f1"] or 0.0 for each in told])
        bounds = [each["intervals"].get("f1", (f1, f1)) for each, f1 in zip(told, f1s, strict=True)]
        low, high = np.transpose(bounds)
        lengths = np.maximum([f1s - low, high - f1s], 0)
        positions = np.arange(len(results)) + (place - (len(names) - 1) / 2) * width
        axes.bar(positions, f1s, width, yerr=lengths, capsize=3, label=name)
    axes.set_xticks(range(len(results)), [result["origin"] for result in results])
    axes.set(xlabel="learnt", ylabel="F1, 95 %", ylim=(0, 1.05), title=f"Setting: {setting}")
    axes.legend(bbox_to_anchor=(1, 1), loc="upper left")
    figure.savefig(folder / "origins.png", dpi=120, bbox_inches="tight")
    plt.close(figure)
