"""
### Monitor: have the logs moved away from what the champions learnt?

Every night at 03:30 UTC, after scoring, for the UTC day before. Of each source are measured: events
in templates that the champion never learnt, drift of templates and of scores, the champion's age,
alerts that people called normal, volume, and lines that did not parse. They are rows of
`loganalyzer.monitoring`, which `loganalyzer monitor` prints. Where one of the first five is past
its bound, an event of the asset `source_drift` asks for a retrain, at most once in 24 hours for
each source.

*By hand:* trigger it with `day` to measure any day. Measuring a day again changes no row.

*If it fails:* the rows of that source and day are as they were before. Clear the red task: what was
asked for already is not asked for again.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.assets import SOURCE_DRIFT
from include.dag_defaults import DEFAULTS, SOURCE_PARAM


@dag(
    schedule=CronTriggerTimetable("30 3 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=6),
    params={
        "source": Param(**SOURCE_PARAM),
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day",
            description="UTC day to measure; empty for the day before the run.",
        ),
    },
    tags=["loganalyzer", "monitoring"],
    doc_md=__doc__,
)
def monitor_sources():
    @task
    def plan_days(params: dict, **context) -> list[dict]:
        from include.intervals import moment_of, nights
        from include.workspace import open_workspace

        ((start, _),) = nights({"first_day": params["day"]}, moment_of(context))
        return [
            {"source": source.name, "day": start.date().isoformat()}
            for source in open_workspace().chosen(params["source"])
        ]

    @task(map_index_template="{{ task.op_kwargs.planned.source }} {{ task.op_kwargs.planned.day }}")
    def measure(planned: dict) -> dict:
        from include.monitoring import monitor_day
        from include.workspace import open_workspace

        return monitor_day(open_workspace(), **planned)

    @task
    def drifted(measured: list[dict]) -> list[dict]:
        return [finding for finding in measured if finding["reason"]]

    @task(outlets=[SOURCE_DRIFT], map_index_template="{{ task.op_kwargs.finding.source }}")
    def ask_for_retrain(finding: dict, *, outlet_events, **context) -> dict:
        from airflow.sdk.exceptions import AirflowSkipException

        from include.intervals import moment_of
        from include.monitoring import request_for
        from include.workspace import open_workspace

        request = request_for(open_workspace(), **finding, moment=moment_of(context))
        if request is None:
            raise AirflowSkipException("a retrain was asked for in the 24 hours before")
        outlet_events[SOURCE_DRIFT].extra = finding
        return request

    # The event goes out as its task succeeds: only then is it recorded, so that one that is killed
    # before asks again.
    @task(trigger_rule="none_failed_min_one_success")
    def record(requests: list[dict]) -> None:
        from include.monitoring import record_requests
        from include.workspace import open_workspace

        record_requests(open_workspace(), list(requests))

    found = drifted(measure.expand(planned=plan_days()))
    record(ask_for_retrain.expand(finding=found))


monitor_sources()
