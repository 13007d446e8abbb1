"""The page "LogAnalyzer" in the navigation of Airflow, and the tab "Anomalies" of a run.

Every process of Airflow imports this; what serves the pages is in `plugins/page`, which only the
API server loads.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "loganalyzer"


class AnomaliesPage(AirflowPlugin):
    name = "loganalyzer_page"
    # Relative, so that they hold where Airflow stands below a path.
    external_views: list[Any] = [  # noqa: RUF012  as Airflow declares it
        {
            "name": "LogAnalyzer",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "loganalyzer",
            "nav_top_level": True,
        },
        {
            "name": "Anomalies",
            "href": f"{PREFIX}/runs/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "anomalies",
        },
    ]

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """Asked for by the API server alone."""
        from plugins.page.app import create_app

        return [{"name": "LogAnalyzer", "app": create_app(), "url_prefix": f"/{PREFIX}"}]
