"""The gate: the best candidate of a source against its champion, and what follows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from include import tracking
from include.database import labels, promotions
from include.database.audit import Origin
from include.lake.events import read_windows
from include.sources import LogSource
from include.tracking import RegisteredModel, runs
from include.training import data
from include.training.data import Dataset
from include.training.jobs import APPROVE, Answer, Fitted, Judged, Prepared, Request
from include.workspace import Workspace
from ml import promotion
from ml.labels import anomalous_windows
from ml.promotion import Contender, Verdict
from ml.rules import RULES
from ml.windows import Windows

log = logging.getLogger(__name__)


class Broken(RuntimeError):
    """A model that was promoted does not load or score; the message says what was done."""


def judge(workspace: Workspace, prepared: Prepared, fitted: Sequence[Fitted]) -> Judged:
    """Register the source's best candidate, by its figure over the folds, as the challenger; let it
    and the champion judge the later period; and record the verdict: in the log, MLflow, Postgres.
    """
    request = prepared["request"]
    source = request["source"]
    rivals = [each for each in fitted if each["source"] == source]
    best = max(rivals, key=lambda each: each["objective"])
    client = tracking.connect(workspace.settings)
    version = tracking.register(client, source, best["mlflow_run_id"])
    champion = tracking.champion(client, source)
    if champion is not None and champion.version == version:
        verdict, table = None, ""
        reason = f"version {version} is the champion already: these logs teach nothing new"
    else:
        challenger = tracking.registered(client, source, tracking.CHALLENGER)
        verdict = _verdict(workspace, data.read(workspace, prepared), request, challenger, champion)
        reason, table = verdict.reason, verdict.table()
    log.info("%s: %s\n%s", source, reason, table)
    runs.log_verdict(client, best["mlflow_run_id"], reason, table)
    passed = verdict is not None and verdict.passed
    with workspace.engine.begin() as conn:
        row: dict[str, Any] = {
            "source": source,
            "dag_run_id": request["dag_run_id"],
            "model_name": tracking.model_name(source),
            "version": version,
            "family": best["family"],
            "champion_before": None if champion is None else champion.version,
            "mlflow_run_id": best["mlflow_run_id"],
            "reason": reason,
            "policy": request["policy"],
            "outcome": _outcome(verdict, request["policy"]),
            "decided_by": promotions.GATE,
            "note": request["note"],
        }
        promotions.record(conn, {**row, **_figures(verdict)})
    return Judged(
        source=source,
        version=version,
        family=best["family"],
        passed=passed,
        reason=reason,
        table=table,
        policy=request["policy"],
        dag_run_id=request["dag_run_id"],
        mlflow_url=best["mlflow_url"],
    )


def questions(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """What a person is asked: one question for each challenger that passed the gate, where the
    policy wants an answer."""
    return [
        {
            "subject": f"{each['source']}: may version {each['version']} ({each['family']}) become "
            "the champion?",
            "body": f"{each['reason']}\n\n{each['table']}\n\n[Its run in MLflow]"
            f"({each['mlflow_url']})",
        }
        for each in _asked(judged)
    ]


def promote(
    workspace: Workspace, judged: Sequence[Judged], answers: Sequence[Answer]
) -> list[Judged]:
    """Make challengers that passed the gate the champions of their sources, and return them.

    answers: to `questions`, in that order. Raises Broken where a new champion does not load and
    score: the aliases are back where they were then.
    """
    answer_of = {
        each["source"]: answer for each, answer in zip(_asked(judged), answers, strict=True)
    }
    promoted = []
    for each in judged:
        if not each["passed"] or each["policy"] == "never":
            continue
        answer = answer_of.get(each["source"])
        if answer is not None and answer["chosen_options"] != [APPROVE]:
            _decide(workspace, each, *_refusal(answer))
            continue
        _make_champion(workspace, each, promotions.GATE if answer is None else _who(answer))
        promoted.append(each)
    return promoted


def roll_back(
    workspace: Workspace, source: str, who: str, occasion: str, origin: Origin = "airflow"
) -> str:
    """Make the previous champion the champion again; its version. occasion: names the row, and what
    runs again under the same name goes no further back. origin: through what it was asked for.

    Raises LookupError where there is no previous one, and Broken where it does not load.
    """
    client = tracking.connect(workspace.settings)
    before = tracking.aliases(client, source)
    # Said before it is done: a task that is killed in between knows where it was going.
    with workspace.engine.begin() as conn:
        said = promotions.of_run(conn, occasion, source)
        version = said[0]["version"] if said else before.previous
        if version is None:
            raise LookupError(f"{source} has no previous champion to go back to")
        if not said:
            row = _way_back(client, source, before, version, who, occasion)
            promotions.record(conn, row, origin)
    tracking.roll_back(client, source, version)
    try:
        _check(client, source, before)
    except Broken:
        with workspace.engine.begin() as conn:
            promotions.decide(conn, source, occasion, "moved_back", origin=origin)
        raise
    return version


def _way_back(
    client: tracking.MlflowClient,
    source: str,
    before: tracking.Aliases,
    version: str,
    who: str,
    occasion: str,
) -> dict[str, Any]:
    """The row that says where a roll-back goes."""
    return {
        "source": source,
        "dag_run_id": occasion,
        "model_name": tracking.model_name(source),
        "version": version,
        "family": tracking.parameters_of(client, source, version)["family"],
        "champion_before": before.champion,
        "mlflow_run_id": tracking.run_of(client, source, version),
        "checks": [],
        "passed": True,
        "reason": f"version {before.champion} was rolled back to version {version}",
        "policy": "roll_back",
        "outcome": "rolled_back",
        "decided_by": who,
        "note": "",
    }


def _verdict(
    workspace: Workspace,
    dataset: Dataset,
    request: Request,
    challenger: RegisteredModel | None,
    champion: RegisteredModel | None,
) -> Verdict:
    if challenger is None:
        raise LookupError("the alias of the challenger was moved meanwhile: run the task again")
    exam = dataset.exam(request)
    golden = _golden(workspace, workspace.source(request["source"]), dataset)
    test = exam.trial.test
    return promotion.judge(
        exam,
        _contender(challenger, test, golden),
        None if champion is None else _contender(champion, test, golden),
        {name: rule(exam.trial.learnt, test) for name, rule in RULES.items()},
        request["alerts_per_day"],
        request["seed"],
    )


def _contender(
    registered: RegisteredModel, windows: Windows, golden: Mapping[str, Windows]
) -> Contender:
    model = registered.model
    begun = perf_counter()
    scores = model.score(windows)
    seconds = perf_counter() - begun
    return Contender(
        f"version {registered.version} ({model.family})",
        scores,
        model.threshold,
        len(windows.events) / max(seconds, 1e-6),
        _megabytes(registered),
        {
            name: bool((model.score(those) > model.threshold).any())
            for name, those in golden.items()
        },
    )


def _megabytes(registered: RegisteredModel) -> float:
    with TemporaryDirectory() as folder:
        registered.model.save(Path(folder))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files) / 1e6


def _golden(workspace: Workspace, source: LogSource, dataset: Dataset) -> dict[str, Windows]:
    """The windows of each golden incident: of all that is in the lake where it names a time, else
    of the period."""
    with workspace.engine.connect() as conn:
        golden = labels.golden_labels_of(conn, source.name)
    found = {}
    for row in range(len(golden)):
        label = golden[row]
        key, starts_at, ends_at, _ = label.row(0)
        windows = dataset.windows
        if starts_at is not None:
            windows = read_windows(
                workspace, source, starts_at, ends_at + source.windowing.rule.lookback
            )
        name = key or f"{starts_at:%Y-%m-%d %H:%M}"
        those = windows.where(anomalous_windows(windows, label))
        # What is not in the lake any more cannot be asked for.
        if len(those):
            found[name] = those
    return found


def _figures(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {"checks": [], "passed": False}
    return {
        "figure": verdict.figure,
        "challenger_figure": verdict.challenger,
        "champion_figure": verdict.champion,
        "rules_figure": max(verdict.rules.values()),
        "difference_low": verdict.low,
        "difference_high": verdict.high,
        "checks": [asdict(check) for check in verdict.checks],
        "passed": verdict.passed,
    }


def _outcome(verdict: Verdict | None, policy: str) -> str:
    if verdict is None:
        return "kept"
    if not verdict.passed:
        return "refused"
    return "registered" if policy == "never" else "waiting"


def _asked(judged: Sequence[Judged]) -> list[Judged]:
    return [each for each in judged if each["passed"] and each["policy"] == "approve"]


def _refusal(answer: Answer) -> tuple[str, str]:
    if answer["responded_by_user"] is None:
        return "unanswered", "deadline"
    return "rejected", _who(answer)


def _who(answer: Answer) -> str:
    return str((answer["responded_by_user"] or {}).get("name", "somebody"))


def _make_champion(workspace: Workspace, judged: Judged, who: str) -> None:
    source = judged["source"]
    client = tracking.connect(workspace.settings)
    before = tracking.aliases(client, source)
    tracking.promote(client, source, judged["version"], judged["reason"])
    try:
        _check(client, source, before)
    except Broken:
        _decide(workspace, judged, "moved_back", promotions.GATE)
        raise
    _decide(workspace, judged, "promoted", who)
    log.info("%s: version %s is the champion now", source, judged["version"])


def _check(client: tracking.MlflowClient, source: str, before: tracking.Aliases) -> None:
    """Where the new champion does not load or score, the aliases move back to where they were
    before, and Broken is raised."""
    try:
        tracking.smoke_test(source)
    except Exception as error:
        tracking.move_back(client, source, before)
        raise Broken(
            f"the new champion of {source} does not load and score ({error}); version "
            f"{before.champion} is the champion again"
        ) from error


def _decide(workspace: Workspace, judged: Judged, outcome: str, who: str) -> None:
    with workspace.engine.begin() as conn:
        promotions.decide(conn, judged["source"], judged["dag_run_id"], outcome, who)
