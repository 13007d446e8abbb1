"""
### Score: the windows that closed yesterday, judged by the champion

Every night at 02:30 UTC, for the UTC day before, and again for nights of the last thirty days that
lines have come late for. What each rests on is a row of `loganalyzer.coverage`. Each source is
judged by its champion; a source without one is judged by novelty against its own last thirty days.
The anomalies are rows in Postgres, one transaction for each source and day. Then those of all
sources are grouped into incidents, from the first of these days on, and people are told of each
new one.

Where a source has a challenger, it judges the same windows in its shadow, for
`loganalyzer disagreements` alone: none of that is an anomaly.

*By hand:* trigger it with `first_day` and `last_day` to score any days, or use **Backfill**.
Scoring a day again with the same model changes no row. With `model_version`, another version of a
source's model judges the days for comparison: its anomalies lie beside those of the night, which
stay as they are.

A run that has not ended three and a half hours after it began, at 06:00 UTC for the nightly one, is
told to people as an incident is.

*If it fails:* the rows of that source and day are as they were before. Clear the red task. A red
`shadow` costs no anomaly: the champion's are there. A red `alert` says what was not sent; clear it,
or the next night sends it.
"""

from datetime import timedelta

from airflow.sdk import (
    AsyncCallback,
    CronTriggerTimetable,
    DeadlineAlert,
    DeadlineReference,
    Param,
    dag,
    task,
    task_group,
)

from include.assets import ANOMALIES
from include.dag_defaults import DEFAULTS, SOURCE_PARAM
from plugins.deadline import tell_late
from plugins.links import DashboardLink, offer, tell_night

NAME_OF_NIGHT = "{{ task.op_kwargs.night.source }} {{ task.op_kwargs.night.start }}"
DAY_PARAM = {"default": None, "type": ["null", "string"], "format": "date"}


@dag(
    schedule=CronTriggerTimetable("30 2 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=6),
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=3, minutes=30),
        callback=AsyncCallback(
            tell_late, {"by": "06:00 UTC, three and a half hours after it began"}
        ),
    ),
    params={
        "source": Param(**SOURCE_PARAM),
        "first_day": Param(
            **DAY_PARAM,
            title="First day",
            description="UTC day to start with; empty for the day before the run.",
        ),
        "last_day": Param(
            **DAY_PARAM, title="Last day", description="UTC day to end with, inclusive."
        ),
        "model_version": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9]+$",
            title="Model version",
            description="Of one source's model, to see what it would have said; empty for the "
            "champion.",
        ),
        "shadow": Param(
            True,
            type="boolean",
            title="Shadow",
            description="Whether challengers judge the same windows, without alerting.",
        ),
    },
    tags=["loganalyzer", "scoring"],
    doc_md=__doc__,
)
def score_nightly():
    @task
    def plan_nights(params: dict, **context) -> list[dict]:
        from include.intervals import moment_of
        from include.nights import plan
        from include.workspace import open_workspace

        return plan(open_workspace(), params, moment_of(context))

    @task(outlets=[ANOMALIES], map_index_template=NAME_OF_NIGHT)
    def score(night: dict, params: dict, **context) -> dict:
        from include.scoring import score_night
        from include.workspace import open_workspace

        tell_night(context["ti"], night["start"])
        return score_night(open_workspace(), **night, model_version=params["model_version"])

    @task(map_index_template=NAME_OF_NIGHT)
    def shadow(night: dict, params: dict) -> dict:
        from airflow.sdk.exceptions import AirflowSkipException

        from include.scoring import NoChallenger, shadow_night
        from include.workspace import open_workspace

        if not params["shadow"]:
            raise AirflowSkipException("the parameter `shadow` of this run switches it off")
        if params["model_version"]:
            raise AirflowSkipException("this run only compares another version")
        try:
            return shadow_night(open_workspace(), **night)
        except NoChallenger as reason:
            raise AirflowSkipException(str(reason)) from reason

    # What was scored is grouped, whatever became of the other sources.
    @task(trigger_rule="all_done_min_one_success")
    def group_incidents(nights: list[dict]) -> dict:
        from include.incidents import group_nights
        from include.workspace import open_workspace

        return group_nights(open_workspace(), nights)

    @task
    def alert() -> dict:
        from include.alerting import send_alerts
        from include.workspace import open_workspace

        return send_alerts(open_workspace())

    planned = plan_nights()
    grouped = group_incidents(planned)
    grouped >> alert()

    # A group, so that each night's shadow waits for that night alone, and none for a failed one.
    @task_group(prefix_group_id=False)
    def judge(night: dict):
        # The shadow stays a leaf: where its night fails the run does, though the rest is grouped.
        scored = score(night=night)
        scored >> [shadow(night=night), grouped]
        offer(DashboardLink, scored)

    judge.expand(night=planned)


score_nightly()
