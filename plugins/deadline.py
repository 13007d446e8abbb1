"""What is done where a DAG has not ended by its deadline: people are told, as of an incident."""

import asyncio
from typing import Any


async def tell_late(context: dict[str, Any], by: str) -> None:
    """For the triggerer. context: that of the run, as Airflow hands it over. by: the hour that it
    should have ended by, for people."""
    run = context["dag_run"]
    await asyncio.to_thread(_tell, run["dag_id"], run["dag_run_id"], by)


def _tell(dag_id: str, run_id: str, by: str) -> None:
    from include.alerting import tell_of_delay
    from include.workspace import open_workspace

    tell_of_delay(open_workspace(), dag_id, run_id, by)
