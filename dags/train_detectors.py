"""
### Train: a period's windows become a challenger for each source, and the gate judges it

Every Sunday at 04:00 UTC over the last thirty days, when `monitor_sources` finds that a source has
drifted, and by hand from the form. One run at a time: a second one waits.

1. `prepare` writes down the windows of the period. The later fifth is held out; what straddles the
   cut is left out; windows labelled anomalous are left out of training.
2. `run_trial` looks for the best parameters of each family on what comes before, over rolling
   origins. Trials share one study: a worker that is killed loses one of them.
3. `fit` trains each family with its best parameters and measures it on the held-out part. Every
   family is a run in MLflow, with a run below it for each trial.
4. `judge` registers the best of them as the challenger. It passes the gate where it is better than
   the champion and the plain rules on the held-out part, which none of them has seen.
5. With the policy `approve`, `approve` asks a person; no answer within a day means no.
6. `promote` moves the alias `champion`, and back where the new champion does not load. The former
   one keeps the alias `previous`: the parameter *Roll back* returns to it.

What the gate said stays in `loganalyzer.promotions`, in MLflow and in the log of `judge`.

*If it fails:* the champion is as it was. Clear the red task: it goes on where it was. A source with
too few or too old windows is skipped, and the log of its task says what is needed.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, task

from include.assets import CHAMPION_MODELS, SOURCE_DRIFT
from include.dag_defaults import DEFAULTS, SOURCE_PARAM
from include.intervals import LOOK_BACK
from include.training.jobs import APPROVE, REJECT
from ml.families import DEFAULT_FAMILIES, FAMILIES
from plugins.links import MlflowRunLink, offer, tell

NAME_OF_FAMILY = "{% set s = task.op_kwargs.study %}{{ s.prepared.request.source }} {{ s.family }}"
NAME_OF_TRIAL = (
    "{% set j = task.op_kwargs.job %}{{ j.study.prepared.request.source }} {{ j.study.family }} "
    "{{ j.number }}"
)
MOMENT_PARAM = {"default": None, "type": ["null", "string"], "format": "date-time"}
DEADLINE = timedelta(days=1)
# A source that is skipped does not stop the others.
SOME_SOURCES = "none_failed_min_one_success"

PARAMS = {
    "source": Param(**SOURCE_PARAM),
    "families": Param(
        list(DEFAULT_FAMILIES),
        type="array",
        items={"type": "string", "enum": list(FAMILIES)},
        examples=list(FAMILIES),
        minItems=1,
        uniqueItems=True,
        title="Detector families",
        description="Which families to tune and train; the best of them becomes the challenger.",
    ),
    "look_back_days": Param(
        LOOK_BACK.days,
        type="integer",
        minimum=1,
        maximum=3650,
        title="Look-back in days",
        description="How long the period is where its start is not given.",
    ),
    "period_start": Param(
        **MOMENT_PARAM,
        title="Period start",
        description="First moment to learn from; empty for the look-back before the end.",
    ),
    "period_end": Param(
        **MOMENT_PARAM,
        title="Period end",
        description="First moment that is not looked at; empty for now.",
    ),
    "trials": Param(
        10,
        type="integer",
        minimum=1,
        maximum=1000,
        title="Trials",
        description="Settings to try of each family, the defaults first; 1 for these alone.",
    ),
    "time_limit_minutes": Param(
        120,
        type="integer",
        minimum=1,
        maximum=600,
        title="Time limit in minutes",
        description="After this no trial is started; what has been found until then counts.",
    ),
    "seed": Param(
        0, type="integer", minimum=0, title="Seed", description="Of all that is drawn at random."
    ),
    "alerts_per_day": Param(
        None,
        type=["null", "number"],
        exclusiveMinimum=0,
        title="Alert budget",
        description="Most false alarms a day; empty for as few as normal windows allow, about one "
        "in a thousand.",
    ),
    "policy": Param(
        "auto",
        type="string",
        enum=["auto", "approve", "never"],
        title="Promotion policy",
        description="auto: a challenger that passes the gate becomes the champion; approve: a "
        "person decides; never: it is only registered.",
    ),
    "note": Param(
        None,
        type=["null", "string"],
        maxLength=2000,
        title="Note",
        description="Why this run; kept with it.",
    ),
    "roll_back": Param(
        False,
        type="boolean",
        title="Roll back",
        description="Train nothing: make the previous champion of the source the champion again.",
    ),
}


@task.branch
def choose_way(params: dict) -> str:
    return "roll_back" if params["roll_back"] else "plan"


@task(outlets=[CHAMPION_MODELS])
def roll_back(params: dict, dag_run) -> None:
    from include.training import gate
    from include.workspace import open_workspace

    space = open_workspace()
    who = dag_run.triggering_user_name or "Airflow"
    for source in space.chosen(params["source"]):
        gate.roll_back(space, source.name, who, dag_run.run_id)


@task
def plan(params: dict, **context) -> list[dict]:
    from include.training.requests import requests_of
    from include.workspace import open_workspace

    return requests_of(open_workspace(), params, context)


@task(map_index_template="{{ task.op_kwargs.request.source }}")
def prepare(request: dict) -> dict:
    from airflow.sdk.exceptions import AirflowSkipException

    from include.training import data
    from include.workspace import open_workspace
    from ml.splits import TooFewWindows

    try:
        return data.prepare(open_workspace(), request)
    except TooFewWindows as reason:
        raise AirflowSkipException(str(reason)) from reason


@task(trigger_rule=SOME_SOURCES)
def open_studies(prepared: list[dict]) -> list[dict]:
    from include.training import studies
    from include.workspace import open_workspace

    return studies.open_studies(open_workspace(), list(prepared))


@task
def list_trials(opened: list[dict]) -> list[dict]:
    from include.training import studies

    return studies.trials_of(opened)


# There are many, and a night in which several servers are killed must not use up their attempts.
@task(map_index_template=NAME_OF_TRIAL, retries=4)
def run_trial(job: dict) -> dict:
    from include.training import studies
    from include.workspace import open_workspace

    return studies.run_trial(open_workspace(), job)


# A trial that fails is red and counts for nothing; the others decide.
@task(map_index_template=NAME_OF_FAMILY, trigger_rule="all_done")
def fit(study: dict, **context) -> dict:
    from include.training import candidates
    from include.workspace import open_workspace

    fitted = candidates.fit(open_workspace(), study)
    tell(context["ti"], MlflowRunLink, fitted["mlflow_url"])
    return fitted


@task(
    map_index_template="{{ task.op_kwargs.prepared.request.source }}",
    trigger_rule=SOME_SOURCES,
)
def judge(prepared: dict, fitted: list[dict], **context) -> dict:
    from include.training import gate
    from include.workspace import open_workspace

    judged = gate.judge(open_workspace(), prepared, list(fitted))
    tell(context["ti"], MlflowRunLink, judged["mlflow_url"])
    return judged


@task
def ask(judged: list[dict]) -> list[dict]:
    from include.training import gate

    return gate.questions(list(judged))


@task(outlets=[CHAMPION_MODELS], trigger_rule=SOME_SOURCES)
def promote(judged: list[dict], answers: list[dict]) -> list[dict]:
    from airflow.sdk.exceptions import AirflowSkipException

    from include.training import gate
    from include.workspace import open_workspace

    promoted = gate.promote(open_workspace(), list(judged), list(answers or []))
    if not promoted:
        raise AirflowSkipException("no champion changes: `judge` and `approve` say why")
    return promoted


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 4 * * 0", timezone="UTC"), assets=[SOURCE_DRIFT]
    ),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=12) + DEADLINE,
    params=PARAMS,
    tags=["loganalyzer", "training"],
    doc_md=__doc__,
)
def train_detectors():
    planned = plan()
    choose_way() >> [roll_back(), planned]
    prepared = prepare.expand(request=planned)
    opened = open_studies(prepared)
    trials = run_trial.expand(job=list_trials(opened))
    fitted = fit.expand(study=opened)
    judged = judge.partial(fitted=fitted).expand(prepared=prepared)
    approve = HITLOperator.partial(
        task_id="approve",
        options=[APPROVE, REJECT],
        defaults=[REJECT],
        response_timeout=DEADLINE,
        map_index_template="{{ task.subject }}",
    ).expand_kwargs(ask(judged))
    trials >> fitted
    offer(MlflowRunLink, fitted, judged)
    promote(judged, approve.output)


train_detectors()
