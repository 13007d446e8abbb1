"""A retrain on real servers, step by step: tuning, tracking, the gate, and the ways back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from include import tracking
from include.database.labels import LabelRow, import_labels
from include.tracking import runs
from include.training import candidates, data, gate, studies
from include.training.jobs import Answer, Judged, Prepared
from include.workspace import Workspace, open_workspace
from ml import search
from ml.model import Model
from ml.splits import TooFewWindows
from ml.tuning import Exam
from services.simulator import simulate
from tests.conftest import REQUEST

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
SOURCE = """
name: {name}
format: log4j
windowing: {{kind: session, key: 'req=([0-9a-f]{{8}})', idle_timeout: 30m, longest_span: 6h}}
"""
Train = Callable[..., Judged]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Two days of the sample service, the incidents on the second."""
    written = simulate(tmp_path_factory.mktemp("samples"), FIRST.date(), days=2)
    return [(str(path.relative_to(written.folder)), path.read_bytes()) for path in written.files]


@pytest.fixture
def name(workspace: Workspace, request: pytest.FixtureRequest) -> str:
    """A source of this test's own."""
    own = "r_" + re.sub("[^a-z]+", "_", request.node.name.removeprefix("test_"))[-50:].strip("_")
    Path(workspace.settings.sources_path, f"{own}.yaml").write_text(SOURCE.format(name=own))
    return own


@pytest.fixture
def space(
    name: str, logs: list[tuple[str, bytes]], ingest: Callable[[Workspace, str], int]
) -> Workspace:
    open_workspace.cache_clear()
    found = open_workspace()
    for key, content in logs:
        found.store.put_bytes(found.settings.bucket_logs, f"{name}/{key}", content)
    ingest(found, name)
    return found


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first day is clean: here, trust in it costs nothing."""
    monkeypatch.setattr(search, "PRICE_OF_TRUST", 0.0)


@pytest.fixture
def first_day(space: Workspace, name: str, train: Train) -> Callable[..., Judged]:
    """Train on the first day."""

    def run(**said: Any) -> Judged:
        end = FIRST + DAY
        known = {"known_until": (end + DAY).isoformat()}
        return train(space, name, FIRST.isoformat(), end.isoformat(), **known, **said)

    return run


def prepared_for(space: Workspace, name: str, **said: Any) -> Prepared:
    end = FIRST + DAY
    asked = {
        **REQUEST,
        "source": name,
        "start": FIRST.isoformat(),
        "end": end.isoformat(),
        "known_until": (end + DAY).isoformat(),
    }
    return data.prepare(space, {**asked, **said})  # type: ignore[typeddict-item]


def promotions(space: Workspace, name: str) -> list[sa.RowMapping]:
    query = "SELECT * FROM loganalyzer.promotions WHERE source = :name ORDER BY promotion_id"
    with space.engine.connect() as conn:
        return list(conn.execute(sa.text(query), {"name": name}).mappings())


def aliases(space: Workspace, name: str) -> tuple[str | None, str | None, str | None]:
    found = tracking.aliases(tracking.connect(space.settings), name)
    return found.champion, found.previous, found.challenger


GOOD: dict[str, Any] = {"trials": 2}  # the second trial leaves the assumption of anomalies out


def test_the_first_good_challenger_is_champion_and_all_of_it_is_in_mlflow(
    space: Workspace, name: str, first_day: Train
) -> None:
    judged = first_day(**GOOD, note="the very first")
    (row,) = promotions(space, name)
    assert (row["outcome"], row["version"], row["note"]) == ("promoted", "1", "the very first")
    assert row["rules_figure"] < row["challenger_figure"]
    assert aliases(space, name) == ("1", None, None)

    client = tracking.connect(space.settings)
    run = client.get_run(row["mlflow_run_id"])
    assert run.data.tags["loganalyzer.dag_run"] == "by hand"
    assert REQUEST["dag_run_url"] in run.data.tags["mlflow.note.content"]
    assert run.data.tags["loganalyzer.verdict"] == judged["reason"]
    assert {"tuned.contamination", "catalogue_version", "held_out_from"} <= run.data.params.keys()
    assert {"objective", "held_out_figure", "threshold"} <= run.data.metrics.keys()
    assert run.inputs.dataset_inputs[0].dataset.name == name
    held = {item.path for item in client.list_artifacts(run.info.run_id)}
    pictures = {"scores.png", "templates.png", "study.png"}
    assert held >= {"dataset.json", "environment.txt", "verdict.md", *pictures}
    about = json.loads(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/dataset.json"))
    assert about["windows"] > 2000
    assert len(about["objects"]) > 20

    trials = client.search_runs(
        [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    )
    assert len(trials) == 2
    for trial in trials:
        folds = client.get_metric_history(trial.info.run_id, "figure")
        assert [each.step for each in folds] == [0, 1]
        mean = np.mean([each.value for each in folds])
        assert trial.data.metrics["objective"] == pytest.approx(mean)


def test_the_artifact_holds_all_that_is_needed_and_no_pickle(
    space: Workspace, name: str, first_day: Train, tmp_path: Path
) -> None:
    first_day(**GOOD, alerts_per_day=20.0)
    folder = Path(
        mlflow.artifacts.download_artifacts(
            f"models:/{tracking.model_name(name)}@champion", dst_path=str(tmp_path)
        )
    )
    told = json.loads((folder / "artifacts" / "model" / "model.json").read_text())
    model = Model.load(folder / "artifacts" / "model")
    assert told["threshold"] == model.threshold == model.budget
    assert int(told["about"]["catalogue_version"]) > 0
    assert told["about"]["source"] == name
    loaded = mlflow.pyfunc.load_model(str(folder))
    assert loaded.metadata.signature is not None
    assert loaded.predict(loaded.input_example)["score"].notna().all()
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert not path.read_bytes().startswith(b"\x80"), path


def test_a_planted_pickle_is_refused(
    space: Workspace, name: str, first_day: Train, tmp_path: Path
) -> None:
    first_day(**GOOD)
    client = tracking.connect(space.settings)
    model = tracking.champion(client, name)
    assert model is not None
    model.model.save(tmp_path / "model")
    np.savez(tmp_path / "model" / "tail.npz", sample=np.array([{"runs": "code"}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Model.load(tmp_path / "model")


def test_the_same_again_keeps_the_champion_and_makes_nothing_new(
    space: Workspace, name: str, first_day: Train
) -> None:
    first_day(**GOOD)
    again = first_day(**GOOD, dag_run_id="again")
    assert "champion already" in again["reason"]
    assert [row["outcome"] for row in promotions(space, name)] == ["promoted", "kept"]
    assert aliases(space, name) == ("1", None, None)


def test_a_challenger_that_loses_is_refused_and_one_that_wins_is_promoted(
    space: Workspace, name: str, first_day: Train, crown: Callable[..., str]
) -> None:
    crown(space, name, FIRST, FIRST + DAY, "isolation_forest")
    lost = first_day(families=["one_class_svm"], dag_run_id="loses")
    assert "is refused: plain rules" in lost["reason"]
    assert aliases(space, name) == ("1", None, "2")
    won = first_day(**GOOD, dag_run_id="wins")
    assert "is better than version 1 (isolation_forest)" in won["reason"]
    assert aliases(space, name) == ("3", "1", None)
    outcomes = [row["outcome"] for row in promotions(space, name)]
    assert outcomes == ["refused", "refused", "promoted"]
    row = promotions(space, name)[-1]
    assert 0 < row["difference_low"] < row["difference_high"]
    assert row["champion_before"] == "1"


def test_with_the_policy_never_it_is_only_registered(
    space: Workspace, name: str, first_day: Train
) -> None:
    assert first_day(**GOOD, policy="never")["passed"]
    assert aliases(space, name) == (None, None, "1")
    assert promotions(space, name)[0]["outcome"] == "registered"


@pytest.mark.parametrize(
    ("answer", "outcome", "by"),
    [
        pytest.param((["Approve"], {"id": "1", "name": "ada"}), "promoted", "ada", id="yes"),
        pytest.param((["Reject"], {"id": "1", "name": "ada"}), "rejected", "ada", id="no"),
        pytest.param((["Reject"], None), "unanswered", "deadline", id="no answer"),
    ],
)
def test_with_the_policy_approve_a_person_decides(
    space: Workspace,
    name: str,
    first_day: Train,
    answer: tuple[list[str], dict[str, Any] | None],
    outcome: str,
    by: str,
) -> None:
    prepared = prepared_for(space, name, **GOOD, policy="approve")
    (study,) = studies.open_studies(space, [prepared])
    for job in studies.trials_of([study]):
        studies.run_trial(space, job)
    judged = gate.judge(space, prepared, [candidates.fit(space, study)])
    (question,) = gate.questions([judged])
    assert "may version 1 (novelty) become the champion?" in question["subject"]
    assert "| plain rules |" in question["body"]
    assert promotions(space, name)[0]["outcome"] == "waiting"
    gate.promote(space, [judged], [Answer(chosen_options=answer[0], responded_by_user=answer[1])])
    (row,) = promotions(space, name)
    assert (row["outcome"], row["decided_by"]) == (outcome, by)
    assert aliases(space, name)[0] == ("1" if outcome == "promoted" else None)


def test_a_champion_that_does_not_load_is_moved_back(
    space: Workspace, name: str, first_day: Train, crown: Callable[..., str]
) -> None:
    crown(space, name, FIRST, FIRST + DAY, "isolation_forest")
    passed = first_day(**GOOD, dag_run_id="broken", policy="never")
    client = tracking.connect(space.settings)
    source = client.get_model_version(tracking.model_name(name), passed["version"]).source
    key = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    prefix = key.removeprefix("mlflow-artifacts:/")
    stored = [
        item.key
        for item in space.store.list("mlflow")
        if item.key.startswith(prefix) and item.key.endswith("novelty.npz")
    ]
    space.store.put_bytes("mlflow", stored[0], b"half a mod")
    before = aliases(space, name)
    with pytest.raises(gate.Broken, match="version 1 is the champion again"):
        gate.promote(space, [{**passed, "policy": "auto"}], [])
    assert aliases(space, name) == before
    assert promotions(space, name)[-1]["outcome"] == "moved_back"


def test_rolling_back_returns_to_the_previous_champion_and_back_again(
    space: Workspace, name: str, first_day: Train, crown: Callable[..., str]
) -> None:
    crown(space, name, FIRST, FIRST + DAY, "isolation_forest")
    with pytest.raises(LookupError, match="no previous champion"):
        gate.roll_back(space, name, "ada", "too early")
    first_day(**GOOD, dag_run_id="wins")
    for _ in range(2):  # a task that was killed runs again
        assert gate.roll_back(space, name, "ada", "first") == "1"
        assert aliases(space, name)[:2] == ("1", "2")
    assert gate.roll_back(space, name, "ada", "second") == "2"
    row = promotions(space, name)[-1]
    assert (row["outcome"], row["decided_by"]) == ("rolled_back", "ada")


def test_a_golden_incident_must_be_found(space: Workspace, name: str, first_day: Train) -> None:
    """A session that is like all others is confirmed as an incident: nothing can find that."""
    prepared = prepared_for(space, name)
    windows = data.read(space, prepared).windows
    key = windows.spans["session_key"][0]
    label = LabelRow(key, None, None, is_anomalous=True)
    with space.engine.begin() as conn:
        import_labels(conn, name, [label], "ada", "confirmed", golden=True)
    judged = first_day(**GOOD)
    assert f"golden incidents: 0 of 1, not {key}" in judged["reason"]
    assert aliases(space, name)[0] is None


def trials_of(space: Workspace, study: str) -> dict[TrialState, int]:
    found = studies.load_study(space.settings, study).get_trials(deepcopy=False)
    states = [trial.state for trial in found]
    return {state: states.count(state) for state in set(states)}


def test_a_killed_worker_loses_one_trial_and_none_counts_twice(
    space: Workspace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepared_for(space, name, families=["one_class_svm"], trials=3)
    (study,) = studies.open_studies(space, [prepared])
    jobs = studies.trials_of([study])
    with monkeypatch.context() as patch:

        def killed(*args: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(Exam, "fitted", killed)
        with pytest.raises(KeyboardInterrupt):
            studies.run_trial(space, jobs[0])
    assert trials_of(space, study["name"]) == {TrialState.RUNNING: 1}
    # Started over as after a crash: what is there is gone on with.
    (study,) = studies.open_studies(space, [prepared])
    found = [studies.run_trial(space, job) for job in jobs]
    again = [studies.run_trial(space, job) for job in jobs]
    assert again == found
    assert found[0]["parameters"] == {"nu": 0.05, "width": 1.0}
    assert trials_of(space, study["name"]) == {TrialState.COMPLETE: 3, TrialState.FAIL: 1}
    client = tracking.connect(space.settings)
    logged = client.search_runs(
        [client.get_run(study["mlflow_run_id"]).info.experiment_id],
        f"tags.mlflow.parentRunId = '{study['mlflow_run_id']}'",
    )
    assert len(logged) == 3


def test_after_the_time_limit_no_trial_is_started(space: Workspace, name: str) -> None:
    past = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    prepared = prepared_for(space, name, families=["one_class_svm"], trials=3, deadline=past)
    (study,) = studies.open_studies(space, [prepared])
    told = [studies.run_trial(space, job)["state"] for job in studies.trials_of([study])]
    assert told == ["COMPLETE", *["not run: the time limit was reached"] * 2]
    fitted = candidates.fit(space, study)
    assert fitted["objective"] > 0


def test_a_run_without_a_whole_model_is_never_registered(space: Workspace, name: str) -> None:
    client = tracking.connect(space.settings)
    half = runs.start_run(client, name, "half", "inputs of a task that was killed", {})
    with pytest.raises(RuntimeError, match="holds no whole model"):
        tracking.register(client, name, half)
    assert aliases(space, name) == (None, None, None)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(
            {"start": "2026-02-01T00:00:00+00:00", "end": "2026-02-02T00:00:00+00:00"},
            "has no window between 2026-02-01 00:00 and 2026-02-02 00:00 UTC, at least 60",
            id="no logs",
        ),
        pytest.param(
            {"end": "2026-03-02T00:20:00+00:00"}, "windows in the period, at least 60", id="few"
        ),
        pytest.param(
            {"end": "2026-03-20T00:00:00+00:00", "known_until": "2026-03-20T00:00:00+00:00"},
            "more than 7 days before the end of the period",
            id="stale",
        ),
    ],
)
def test_too_little_or_too_old_data_is_refused_with_what_is_needed(
    space: Workspace, name: str, said: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TooFewWindows, match=reason):
        prepared_for(space, name, **said)


def test_what_the_champion_has_learnt_is_no_place_to_judge_it(
    space: Workspace, name: str, first_day: Train
) -> None:
    first_day(**GOOD)
    earlier = (FIRST + DAY / 2).isoformat()
    with pytest.raises(TooFewWindows, match=r"has learnt until .* only 0 windows of the period"):
        prepared_for(space, name, end=earlier)
    later = prepared_for(
        space,
        name,
        end=(FIRST + 2 * DAY).isoformat(),
        known_until=(FIRST + 3 * DAY).isoformat(),
    )
    split = data.read(space, later).split
    assert split.cut > FIRST + DAY
    assert split.train.spans["ends_at"].max() < split.cut
