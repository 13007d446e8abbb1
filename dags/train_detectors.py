"""
### Train: a period's windows become a champion for each source

Every Sunday at 04:00 UTC over the last thirty days, and by hand from the form. Windows are split
in order of time, and what straddles the cut is left out; windows labelled anomalous are left out
of training and measured in the held-out part. Every family is a run in MLflow. The best one is
registered, and the alias `champion` moves to it; the former one keeps the alias `previous`.

*If it fails:* the champion is as it was. A source with too few windows is skipped, and the log of
its task says how many are needed.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.assets import CHAMPION_MODELS
from include.dag_defaults import DEFAULTS, SOURCE_PARAM
from ml.families import DEFAULT_FAMILIES, FAMILIES

NAME_OF_CANDIDATE = "{% set c = task.op_kwargs.candidate %}{{ c.source }} {{ c.family }}"
MOMENT_PARAM = {"default": None, "type": ["null", "string"], "format": "date-time"}


@dag(
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=12),
    params={
        "source": Param(**SOURCE_PARAM),
        "families": Param(
            list(DEFAULT_FAMILIES),
            type="array",
            items={"type": "string", "enum": list(FAMILIES)},
            examples=list(FAMILIES),
            minItems=1,
            uniqueItems=True,
            title="Detector families",
            description="Which families to train; the best of them becomes the champion.",
        ),
        "period_start": Param(
            **MOMENT_PARAM,
            title="Period start",
            description="First moment to learn from; empty for thirty days before the end.",
        ),
        "period_end": Param(
            **MOMENT_PARAM,
            title="Period end",
            description="First moment that is not learnt from; empty for now.",
        ),
    },
    tags=["loganalyzer", "training"],
    doc_md=__doc__,
)
def train_detectors():
    @task
    def plan_candidates(params: dict, **context) -> list[dict]:
        from include.intervals import moment_of, training_period
        from include.workspace import open_workspace

        moment = moment_of(context)
        start, end = training_period(params, moment)
        period = {"start": start, "end": end, "known_until": moment}
        return [
            {
                "source": source.name,
                "family": family,
                **{name: time.isoformat() for name, time in period.items()},
            }
            for source in open_workspace().chosen(params["source"])
            for family in params["families"]
        ]

    @task(map_index_template=NAME_OF_CANDIDATE)
    def train(candidate: dict) -> dict:
        from airflow.sdk.exceptions import AirflowSkipException

        from include.training import train_candidate
        from include.workspace import open_workspace
        from ml.splits import TooFewWindows

        try:
            return train_candidate(open_workspace(), **candidate)
        except TooFewWindows as reason:
            raise AirflowSkipException(str(reason)) from reason

    @task(outlets=[CHAMPION_MODELS], trigger_rule="none_failed")
    def promote(candidates: list[dict]) -> list[dict]:
        from include.training import promote_best
        from include.workspace import open_workspace

        return promote_best(open_workspace(), list(candidates))

    promote(train.expand(candidate=plan_candidates()))


train_detectors()
