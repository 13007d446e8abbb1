"""The link "MLflow run" on the page of a task in the Airflow UI."""

from airflow.sdk import BaseOperatorLink


class MlflowRunLink(BaseOperatorLink):
    """Where a task has said which run is its own, by `link_to_run`."""

    name = "MLflow run"
    xcom_key = "mlflow_run_url"

    def get_link(self, operator, *, ti_key) -> str:  # type: ignore[no-untyped-def]
        """Not asked: Airflow reads the address that the task has left."""
        return ""


def offer_run_link(mapped) -> None:  # type: ignore[no-untyped-def]
    """Put the link on the pages of a mapped task. The operators of decorated tasks have no other
    place for it."""
    mapped.operator.operator_extra_links = [MlflowRunLink()]


def link_to_run(task_instance, url: str) -> None:  # type: ignore[no-untyped-def]
    task_instance.xcom_push(key=MlflowRunLink.xcom_key, value=url)
