"""Tuning: the trials of a family, shared by all workers over one Optuna study in Postgres.

A study is named by what it is about, so that a run that starts again goes on with it. A trial
belongs to a task, by number: a task that runs again finds the trial it has finished, and one that
was killed has lost this one trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from include import tracking
from include.settings import Settings
from include.tracking import runs
from include.training import data
from include.training.jobs import Prepared, Study, TrialJob
from include.workspace import Workspace
from ml import search
from ml.search import ASKED_FOR, FINISHED, TASK
from ml.tuning import search_space

SCHEMA = "optuna"


def open_studies(workspace: Workspace, prepared: Sequence[Prepared]) -> list[Study]:
    """One for each source and family asked for."""
    return [
        open_study(workspace, each, family_name)
        for each in prepared
        for family_name in each["request"]["families"]
    ]


def open_study(workspace: Workspace, prepared: Prepared, family_name: str) -> Study:
    """The study of a family on this data, and its run in MLflow: new, or where it was left."""
    request = prepared["request"]
    name = _name(prepared, family_name)
    search.open_study(
        family_name,
        has_labels=prepared["has_labels"],
        name=name,
        storage=storage_at(workspace.settings.database_url.get_secret_value(), is_new=True),
    )
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
        prepared = study["prepared"]
        trials = search.trials_worth(
            study["family"], prepared["request"]["trials"], has_labels=prepared["has_labels"]
        )
        jobs += [TrialJob(study=study, number=number) for number in range(trials)]
    return sorted(jobs, key=lambda job: job["number"])


def run_trial(workspace: Workspace, job: TrialJob) -> dict[str, Any]:
    """Run the job's trial, or tell what it has found already: its state and value."""
    described, number = job["study"], job["number"]
    prepared = described["prepared"]
    request = prepared["request"]
    study = load_study(workspace.settings, described["name"])
    done = _finished_trial_of(study, number)
    if done is None:
        if datetime.now(UTC) > datetime.fromisoformat(request["deadline"]) and number > 0:
            return {"state": "not run: the time limit was reached", "value": None}
        done = search.new_trial(
            study,
            described["family"],
            data.read(workspace, prepared).folds(request),
            has_labels=prepared["has_labels"],
            seed=request["seed"],
            number=number,
        )
    _log(workspace, described, done)
    return {"state": done.state.name, "value": done.value, "parameters": done.params}


def best_settings(workspace: Workspace, described: Study) -> tuple[dict[str, Any], float | None]:
    """See `ml.search`."""
    study = load_study(workspace.settings, described["name"])
    return search.best_settings(
        study, described["family"], has_labels=described["prepared"]["has_labels"]
    )


def values_of(workspace: Workspace, described: Study) -> list[float | None]:
    """See `ml.search`."""
    return search.values_of(load_study(workspace.settings, described["name"]))


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


def load_study(settings: Settings, name: str) -> optuna.Study:
    url = settings.database_url.get_secret_value()
    return optuna.load_study(study_name=name, storage=storage_at(url))


def storage_at(database_url: str, *, is_new: bool = False) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(
        database_url,
        engine_kwargs={
            "pool_pre_ping": True,
            "connect_args": {"options": f"-c search_path={SCHEMA}"},
        },
        skip_table_creation=not is_new,
    )


def _name(prepared: Prepared, family_name: str) -> str:
    """The same for the same data, space, seed and budget."""
    request = prepared["request"]
    found = search_space(family_name, has_labels=prepared["has_labels"])
    space = {name: repr(each) for name, each in found.items()}
    asked = [prepared["fingerprint"], space, request["seed"], request["alerts_per_day"]]
    digest = sha256(repr(asked).encode()).hexdigest()[:16]
    return f"{request['source']}/{family_name}/{digest}"
