"""The links on the page of a task in the Airflow UI: MLflow, Data Docs and the dashboard."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.sdk import BaseOperatorLink

from plugins.anomalies_page import PREFIX


class ToldLink(BaseOperatorLink):
    """Where a task has said, by `tell`, that the link leads."""

    key: ClassVar[str]
    url = ""

    @property
    def xcom_key(self) -> str:
        return self.key

    def get_link(self, operator, *, ti_key) -> str:  # type: ignore[no-untyped-def]
        """Asked at the end of a task, in its process; of a mapped task Airflow does not ask."""
        return self.url


class MlflowRunLink(ToldLink):
    name = "MLflow run"
    key = "mlflow_run_url"


class DataDocsLink(ToldLink):
    name = "Data Docs"
    key = "data_docs_url"


class DashboardLink(ToldLink):
    name = "Dashboard"
    key = "dashboard_url"


def offer(link: type[ToldLink], *called: Any) -> None:
    """Put the link on the pages of these tasks. The operators of decorated tasks have no other
    place for it."""
    for each in called:
        each.operator.operator_extra_links = [link()]


def tell(task_instance: Any, link: type[ToldLink], url: str) -> None:
    task_instance.xcom_push(key=link.key, value=url)
    for offered in task_instance.task.operator_extra_links:
        if isinstance(offered, link):
            offered.url = url


def tell_docs(task_instance: Any, page: str) -> None:
    """page: below the site of all Data Docs, which the plugin serves."""
    airflow = task_instance.log_url.partition("/dags/")[0]
    tell(task_instance, DataDocsLink, f"{airflow}/{PREFIX}/docs/{page}")


def tell_night(task_instance: Any, start: str) -> None:
    """start: of the night, as an ISO time."""
    from include.settings import get_settings

    dashboard = get_settings().dashboard_url.rstrip("/")
    tell(task_instance, DashboardLink, f"{dashboard}/tonight?night={start[:10]}")
