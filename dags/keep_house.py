"""
### Keep house: forget the anomalies and logins of long ago

On the first of each month at 05:00 UTC. Anomalies lie in months, and a month that ended longer ago
than `months_kept` is dropped whole. What was scored when, incidents, feedback and labels stay.
Sessions, tokens and invitations that ended more than thirty days ago are forgotten too; the record
of actions stays.

*By hand:* trigger it with another number of months.

*If it fails:* nothing is lost but room on the disk. Clear the red task.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.dag_defaults import DEFAULTS


@dag(
    schedule=CronTriggerTimetable("0 5 1 * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=1),
    params={
        "months_kept": Param(
            24,
            type="integer",
            minimum=1,
            maximum=1200,
            title="Months kept",
            description="Anomalies of so many whole months before the present one stay.",
        ),
    },
    tags=["loganalyzer", "upkeep"],
    doc_md=__doc__,
)
def keep_house():
    @task
    def drop_old_months(params: dict, **context) -> list[str]:
        from include.database import anomalies
        from include.intervals import moment_of, months_before
        from include.workspace import open_workspace

        kept_from = months_before(moment_of(context), params["months_kept"])
        with open_workspace().engine.begin() as conn:
            return anomalies.forget_before(conn, kept_from)

    @task
    def forget_old_logins(**context) -> int:
        from include.database import logins
        from include.intervals import LOOK_BACK, moment_of
        from include.workspace import open_workspace

        with open_workspace().engine.begin() as conn:
            return logins.forget_logins(conn, moment_of(context) - LOOK_BACK)

    drop_old_months()
    forget_old_logins()


keep_house()
