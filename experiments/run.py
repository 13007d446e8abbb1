"""The stages of `dvc.yaml`: what the DAG `train_detectors` does on servers, on files.

Run in this folder. All settings are in `params.yaml`; what a stage reads and writes, and so when it
runs again, is in `dvc.yaml`.
"""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import typer
import yaml
from matplotlib.figure import Figure

from include.ingest.labelled import LabelledSplit, splits_of_logs
from include.plots import scores_and_precision, study_history
from include.sources import load_source
from ml import search
from ml.rules import RULES
from ml.splits import Split
from ml.tuning import Exam, folds
from ml.windows import Windows

BUCKET = "experiments"
# Of what is told of a trained model, what tells experiments apart.
SHOWN = ("objective", "held_out_figure", "f1", "precision", "recall", "alerts_per_day")

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command()
def sample() -> None:
    """Write the sample logs into data/: the same bytes each time."""
    from services.simulator import simulate

    simulate(Path("data"), date(2026, 3, 2))


@app.command()
def remote() -> None:
    """Let `dvc push` and `dvc pull` use the object store that the environment names."""
    from dvc.config import Config

    from include.objects import ObjectStore
    from include.settings import get_settings

    settings = get_settings()
    ObjectStore(settings).ensure_bucket(BUCKET)
    folder = Path("../.dvc")
    # It holds a secret, and git ignores it.
    (folder / "config.local").touch(mode=0o600)
    with Config(dvc_dir=str(folder)).edit("local") as config:
        config["core"] = {**config.get("core", {}), "remote": "gateway"}
        config["remote"]["gateway"] = {
            "url": f"s3://{BUCKET}",
            "endpointurl": f"http{'s' * settings.s3_secure}://{settings.s3_endpoint}",
            "access_key_id": settings.s3_access_key,
            "secret_access_key": settings.s3_secret_key.get_secret_value(),
        }


@app.command()
def windows() -> None:
    """Logs into windows, the later ones held out."""
    params = _params()
    paths = sorted(path for pattern in params["logs"] for path in Path().glob(pattern))
    if not paths:
        sys.exit(f"params.yaml: logs: {params['logs']} are no files here")
    (labelled,), lost = splits_of_logs(
        paths,
        load_source(Path(params["source"])),
        Path(params["labels"]) if params["labels"] else None,
        params["label_pattern"],
        None,
        [params["train_share"]],
    )
    split = labelled.split
    print(f"{len(split.train)} windows, {len(split.test)} held out; {lost} lines do not parse")
    _write_split(labelled)


@app.command()
def tune() -> None:
    """The best settings of each family over the folds before the held-out part."""
    params = _params()
    known = _read_split()
    has_labels = bool(known.in_train.any() or known.in_test.any())
    exams = folds(known.split.train, known.in_train, params["seed"], params["alerts_per_day"])
    found = {}
    for family in params["families"]:
        study = search.open_study(family, has_labels=has_labels)
        for number in range(search.trials_worth(family, params["trials"], has_labels=has_labels)):
            search.new_trial(
                study, family, exams, has_labels=has_labels, seed=params["seed"], number=number
            )
        settings, objective = search.best_settings(study, family, has_labels=has_labels)
        found[family] = {"settings": settings, "objective": objective}
        print(f"{family}: {objective:.4f} over the folds with {settings}")
        _draw(Path("studies"), family, study_history(search.values_of(study), family))
    _write_json(Path("settings.json"), found)


@app.command()
def evaluate() -> None:
    """Each family, so set, on the held-out part, beside the plain rules."""
    params = _params()
    known = _read_split()
    exam = Exam.of(
        known.split, known.in_train, known.in_test, params["seed"], params["alerts_per_day"]
    )
    candidates = json.loads(Path("settings.json").read_text())
    metrics: dict[str, Any] = {
        "figure": exam.measure.name,
        "challenger": max(candidates, key=lambda family: candidates[family]["objective"]),
        "best plain rule": _best_rule(exam),
    }
    for family, tuned in candidates.items():
        model = exam.trained(family, tuned["settings"], params["seed"], params["alerts_per_day"])
        scores = model.score(exam.trial.test)
        told = exam.metrics(scores, model.threshold) | {"objective": tuned["objective"]}
        metrics[family] = {name: told[name] for name in SHOWN if name in told}
        title = f"{family}, held out from {known.split.cut:%Y-%m-%d %H:%M} UTC"
        truth = exam.trial.is_anomalous
        _draw(Path("scores"), family, scores_and_precision(title, scores, model.threshold, truth))
    _write_json(Path("metrics.json"), metrics)


def _best_rule(exam: Exam) -> dict[str, Any]:
    figures = {
        name: exam.figure(rule(exam.trial.learnt, exam.trial.test)) for name, rule in RULES.items()
    }
    best = max(figures, key=lambda name: figures[name])
    return {"name": best, "held_out_figure": figures[best]}


def _params() -> dict[str, Any]:
    params: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text())
    return params


def _write_split(known: LabelledSplit) -> None:
    split = known.split
    for name, part, is_anomalous in (
        ("train", split.train, known.in_train),
        ("test", split.test, known.in_test),
    ):
        folder = Path("windows", name)
        folder.mkdir(parents=True, exist_ok=True)
        part.write(folder)
        np.save(folder / "is_anomalous.npy", is_anomalous)
    _write_json(Path("windows/split.json"), {"cut": str(split.cut), "embargoed": split.embargoed})


def _read_split() -> LabelledSplit:
    folders = [Path("windows", name) for name in ("train", "test")]
    train, test = (Windows.read(folder) for folder in folders)
    in_train, in_test = (np.load(folder / "is_anomalous.npy") for folder in folders)
    about = json.loads(Path("windows/split.json").read_text())
    split = Split(datetime.fromisoformat(about["cut"]), train, test, about["embargoed"])
    return LabelledSplit("files", split, in_train, in_test)


def _draw(folder: Path, name: str, figure: Figure) -> None:
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png")


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    app()
