"""What people do in Airflow, in the record of actions: runs that they start, questions that they
answer. Promotions are written down where they are made, in `include/database/promotions.py`.

Airflow says of a run in its scheduler, and of a task in the process of that task.

A run or an answer that came through our own API has a row already, by the API, which knows who
asked: Airflow knows only the user that the API logs in as. What that user asked for by REST is
therefore written down late, at the end of the run or when the task goes on, and only where there
is no row yet. Rows are of the same form as those of the API.

Runs that nobody asked for are no actions, nor are cleared ones, of which Airflow does not say who
cleared them: its own log of events does.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)
QUESTION = "approve"
# A run asks one question for each source.
ANSWERS = 10_000
# The scheduler waits meanwhile.
LONGEST_STATEMENT_S = 5


class AuditListener:
    @hookimpl
    def on_dag_run_running(self, dag_run: Any) -> None:
        if not _is_by_service(dag_run):
            _record_trigger(dag_run)

    @hookimpl
    def on_dag_run_success(self, dag_run: Any) -> None:
        if _is_by_service(dag_run):
            _record_trigger(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any) -> None:
        if _is_by_service(dag_run):
            _record_trigger(dag_run)

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        # What Airflow's API server hands over, where somebody sets the state, has none of this.
        task: Any = getattr(task_instance, "task", None)
        said = getattr(task, "hitl_summary_extra", {})
        person = said.get("responded_by_user")
        if task_instance.task_id != QUESTION or person is None:
            return
        (option,) = said["chosen_options"]
        index = task_instance.map_index
        after = {"option": option, "map_index": index, "subject": task.subject}
        subject = f"{task_instance.dag_id} {task_instance.run_id}"
        _record(person["name"], "run.answer", subject, after)


def _is_by_service(dag_run: Any) -> bool:
    """Whether the user that our API logs in as has started it by REST."""
    from include.settings import get_settings

    by = getattr(dag_run.triggered_by, "value", None)
    return by == "rest_api" and dag_run.triggering_user_name == get_settings().airflow_user


def _record_trigger(dag_run: Any) -> None:
    if dag_run.triggering_user_name is None or dag_run.clear_number:
        return
    subject = f"{dag_run.dag_id} {dag_run.run_id}"
    _record(dag_run.triggering_user_name, "run.trigger", subject, dag_run.conf or {})


def _record(who: str, action: str, subject: str, after: dict[str, Any]) -> None:
    """Write the row, but where there is one already; a login that cannot see whether there is
    writes it twice rather than never. What goes wrong is told in the log, and stops neither the
    scheduler nor the task."""
    from include import database
    from include.database import audit
    from include.settings import get_settings

    try:
        pool = database.engine(get_settings(), LONGEST_STATEMENT_S)
        try:
            with pool.begin() as conn:
                alike = audit.Which(action=action, subject=subject)
                is_told = audit.may_read(conn)
                known = audit.entries(conn, alike, None, ANSWERS) if is_told else []
                if not any(_question(row["after"]) == _question(after) for row in known):
                    audit.record(conn, audit.Actor(who, "airflow"), action, subject, after=after)
        finally:
            # The scheduler forks the processes of tasks: they must not inherit a connection.
            pool.dispose()
    except Exception:
        log.exception("NOT RECORDED in audit_log: %s by %s of %s", action, who, subject)


def _question(after: dict[str, Any] | None) -> Any:
    """Which question of a run an answer answers; a run itself is started only once."""
    return (after or {}).get("map_index")


class AuditPlugin(AirflowPlugin):
    name = "loganalyzer_audit"
    listeners: list[Any] = [AuditListener()]  # noqa: RUF012  as Airflow declares it
