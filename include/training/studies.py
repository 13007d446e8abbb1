"""Tuning: the trials of a family, shared by all workers over one Optuna study in Postgres.

A study is named by what it is about, so that a run that starts again goes on with it. A trial
belongs to a task, by number: a task that runs again finds the trial it has finished, and one that
was killed has lost this one trial.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from include import tracking
from include.settings import Settings
from include.tracking import runs
from include.training import data
from include.training.jobs import Prepared, Study, TrialJob
from include.workspace import Workspace
from ml.tuning import Exam, all_settings, first_settings, search_space

log = logging.getLogger(__name__)
# It tells of every trial that is there already.
optuna.logging.set_verbosity(optuna.logging.WARNING)

SCHEMA = "optuna"
TASK = "task"
ASKED_FOR = "asked for"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# Drawn at random before TPE has something to learn from; the defaults come before them.
STARTUP_TRIALS = 8
# Trials whose first folds say what is worse than usual.
STARTUP_OF_PRUNER = 5


def open_studies(workspace: Workspace, prepared: Sequence[Prepared]) -> list[Study]:
    """One for each source and family asked for."""
    return [
        open_study(workspace, each, family_name)
        for each in prepared
        for family_name in each["request"]["families"]
    ]


def open_study(workspace: Workspace, prepared: Prepared, family_name: str) -> Study:
    """The study of a family on this data, and its run in MLflow: new, or where it was left.

    Its first trial is that of the default parameters; tuning never ends below them.
    """
    request = prepared["request"]
    name = _name(prepared, family_name)
    study = _study(workspace.settings, name, seed=request["seed"], is_new=True)
    ask_for(study, first_settings(family_name, has_labels=prepared["has_labels"]))
    client = tracking.connect(workspace.settings)
    tags = {
        "loganalyzer.family": family_name,
        "loganalyzer.dag_run": request["dag_run_id"],
        "mlflow.note.content": f"[The run in Airflow]({request['dag_run_url']})\n\n"
        + request["note"],
    }
    run_id = runs.start_run(client, request["source"], family_name, name, tags)
    return Study(prepared=prepared, family=family_name, name=name, mlflow_run_id=run_id)


def trials_of(opened: Sequence[Study]) -> list[TrialJob]:
    """The trials of all studies, round after round: as many of each as the form says, or as the
    family has settings, where these are fewer."""
    jobs = []
    for study in opened:
        trials = trials_within(_space(study), study["prepared"]["request"]["trials"])
        jobs += [TrialJob(study=study, number=number) for number in range(trials)]
    return sorted(jobs, key=lambda job: job["number"])


def run_trial(workspace: Workspace, job: TrialJob) -> dict[str, Any]:
    """Run the job's trial, or tell what it has found already: its state and value."""
    described, number = job["study"], job["number"]
    request = described["prepared"]["request"]
    study = _study(workspace.settings, described["name"], seed=request["seed"] + number)
    done = _finished_trial_of(study, number)
    if done is None:
        if datetime.now(UTC) > datetime.fromisoformat(request["deadline"]) and number > 0:
            return {"state": "not run: the time limit was reached", "value": None}
        exams = data.read(workspace, described["prepared"]).folds(request)
        space, family_name = _space(described), described["family"]
        done = try_next(study, space, family_name, exams, request["seed"], number)
    _log(workspace, described, done)
    return {"state": done.state.name, "value": done.value, "parameters": done.params}


def best_settings(workspace: Workspace, described: Study) -> tuple[dict[str, Any], float | None]:
    """The settings with the highest figure over the folds, and that figure; the defaults and None
    where no trial has come to an end."""
    best = best_trial(_study(workspace.settings, described["name"]))
    if best is None:
        has_labels = described["prepared"]["has_labels"]
        return first_settings(described["family"], has_labels=has_labels)[0], None
    return dict(best.params), best.value


def values_of(workspace: Workspace, described: Study) -> list[float | None]:
    """The figures of the finished trials, in their order, None where one was pruned."""
    study = _study(workspace.settings, described["name"])
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    return [trial.value if trial.state == TrialState.COMPLETE else None for trial in trials]


def study_in(
    storage: optuna.storages.BaseStorage,
    name: str,
    seed: int | None = None,
    *,
    is_new: bool = False,
) -> optuna.Study:
    """A study in a database or in memory; is_new: or the one that is there already."""
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_OF_PRUNER)
    if is_new:
        return optuna.create_study(
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
        )
    return optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=pruner)


def storage_at(database_url: str, *, is_new: bool = False) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(
        database_url,
        engine_kwargs={
            "pool_pre_ping": True,
            "connect_args": {"options": f"-c search_path={SCHEMA}"},
        },
        skip_table_creation=not is_new,
    )


def ask_for(study: optuna.Study, settings: Sequence[dict[str, Any]]) -> None:
    """Have these tried before all others."""
    for each in settings:
        study.enqueue_trial(each, {ASKED_FOR: True}, skip_if_exists=True)


def trials_within(space: Mapping[str, BaseDistribution], trials: int) -> int:
    """As many, or as there are settings, where these are fewer."""
    settings = all_settings(space)
    return trials if settings is None else min(trials, len(settings))


def try_next(
    study: optuna.Study,
    space: dict[str, BaseDistribution],
    family_name: str,
    exams: Sequence[Exam],
    seed: int,
    number: int,
) -> FrozenTrial:
    """A trial: ask for settings, judge them on the folds, tell the study. number: the task's."""
    trial = study.ask(space)
    trial.set_user_attr(TASK, number)
    try:
        values = _values(trial, family_name, exams, seed)
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    except Exception:
        study.tell(trial, state=TrialState.FAIL)
        raise
    return study.tell(trial, float(np.mean(values)))


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The one with the highest figure over the folds; None where none has come to an end."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    # Of equal ones the first: the defaults, where nothing is better.
    return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)


def _values(trial: Trial, family_name: str, exams: Sequence[Exam], seed: int) -> list[float]:
    """The figure on each fold. Raises TrialPruned where the first ones are below the median."""
    values = []
    for fold, exam in enumerate(exams):
        detector = exam.fitted(family_name, trial.params, seed)
        values.append(exam.figure(detector.score(exam.trial.test)))
        log.info("fold %d of %d: %.4f with %s", fold + 1, len(exams), values[-1], trial.params)
        trial.report(values[-1], fold)
        if fold + 1 < len(exams) and trial.should_prune():
            raise optuna.TrialPruned
    return values


def _finished_trial_of(study: optuna.Study, number: int) -> FrozenTrial | None:
    """The trial that this task has finished. One that it was killed in counts for nothing; what it
    tried is tried again where it was asked for."""
    for trial in study.get_trials(deepcopy=False):
        if trial.user_attrs.get(TASK) != number:
            continue
        if trial.state in FINISHED:
            return trial
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            if ASKED_FOR in trial.user_attrs:
                study.enqueue_trial(trial.params, {ASKED_FOR: True})
    return None


def _log(workspace: Workspace, described: Study, trial: FrozenTrial) -> None:
    client = tracking.connect(workspace.settings)
    source = described["prepared"]["request"]["source"]
    run_id = runs.start_run(
        client,
        source,
        f"{described['family']} trial {trial.number}",
        f"{described['name']}/{trial.number}",
        {"loganalyzer.family": described["family"]},
        parent=described["mlflow_run_id"],
    )
    values = [trial.intermediate_values[fold] for fold in sorted(trial.intermediate_values)]
    runs.log_trial(client, run_id, trial.params, values, trial.state.name)


def _study(
    settings: Settings, name: str, seed: int | None = None, *, is_new: bool = False
) -> optuna.Study:
    storage = storage_at(settings.database_url.get_secret_value(), is_new=is_new)
    return study_in(storage, name, seed, is_new=is_new)


def _name(prepared: Prepared, family_name: str) -> str:
    """The same for the same data, space, seed and budget."""
    request = prepared["request"]
    found = search_space(family_name, has_labels=prepared["has_labels"])
    space = {name: repr(each) for name, each in found.items()}
    asked = [prepared["fingerprint"], space, request["seed"], request["alerts_per_day"]]
    digest = sha256(repr(asked).encode()).hexdigest()[:16]
    return f"{request['source']}/{family_name}/{digest}"


def _space(described: Study) -> dict[str, BaseDistribution]:
    return search_space(described["family"], has_labels=described["prepared"]["has_labels"])
