"""What the tasks of a training run hand on to each other: plain data, as Airflow stores it."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

# What a person may answer to the question whether a challenger becomes the champion.
APPROVE, REJECT = "Approve", "Reject"

Policy = Literal["auto", "approve", "never"]


class Request(TypedDict):
    """What the form asked for, for one source. Times are ISO; all but `deadline` bound what is
    looked at: nothing later than `known_until` was known."""

    source: str
    families: list[str]
    start: str
    end: str
    known_until: str
    trials: int
    deadline: str
    seed: int
    alerts_per_day: float | None
    policy: Policy
    note: str
    dag_run_id: str
    dag_run_url: str


class Prepared(TypedDict):
    """The request with the data that answers it: its fingerprint, and where it is cut. Tuning and
    training see what ends before; the gate judges what starts from there.

    has_labels: whether people have looked through it, see `ml.labels.are_looked_at`.
    """

    request: Request
    fingerprint: str
    cut: str
    has_labels: bool


class Study(TypedDict):
    """One family of a source: the study of its parameters, and its run in MLflow."""

    prepared: Prepared
    family: str
    name: str
    mlflow_run_id: str


class TrialJob(TypedDict):
    """The number-th trial of a study."""

    study: Study
    number: int


class Fitted(TypedDict):
    """A trained family: its run, and the figure over the folds by which families are chosen."""

    source: str
    family: str
    mlflow_run_id: str
    objective: float
    mlflow_url: str


class Judged(TypedDict):
    """A source's challenger and what the gate said of it."""

    source: str
    version: str
    family: str
    passed: bool
    reason: str
    table: str
    policy: Policy
    dag_run_id: str
    mlflow_url: str


class Answer(TypedDict):
    """What a person, or the deadline, said to a question."""

    chosen_options: list[str]
    responded_by_user: dict[str, Any] | None
