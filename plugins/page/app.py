"""The routes. Airflow protects none of a plugin's own: each names the DAGs whose runs it shows, and
who may not read these is refused as Airflow refuses them.

What is shown comes from logs: it is text, there is no script, and the browser is told to run none.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from include.database import anomalies, coverage, incidents, promotions
from include.quality import DOCS
from include.workspace import open_workspace
from plugins.page.runs import nights_of

HERE = Path(__file__).parent
STYLE = (HERE / "style.css").read_text()
DIGEST = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{DIGEST}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# Great Expectations writes its pages with scripts and styles of other sites: none is loaded, and a
# page is a stranger to Airflow, whatever an object's key has brought into it.
HEADERS_OF_DOCS = HEADERS | {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'self'"
}
MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".ico": "image/x-icon"}
NIGHTS, INCIDENTS, VERDICTS, ANOMALIES = 7, 50, 10, 200


def reads(dag_id: str | None = None) -> Any:
    """A guard: may read the runs of a DAG, the one in the path where none is named."""
    return Depends(requires_access_dag("GET", DagAccessEntity.RUN, dag_id))


def _shown(value: Any) -> Any:
    """What would steer the eye, such as a change of direction, as an escape."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in value)


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(HERE / "templates")
    found = Environment(
        loader=loader, autoescape=True, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    found.filters["at"] = "{:%Y-%m-%d %H:%M}".format
    found.globals |= {"style": Markup(STYLE)}  # noqa: S704  our own file
    return found


def _page(template: str, **values: Any) -> HTMLResponse:
    values["dashboard"] = open_workspace().settings.dashboard_url.rstrip("/")
    return HTMLResponse(_templates().get_template(template).render(values), headers=HEADERS)


@cache
def create_app() -> FastAPI:
    app = FastAPI(title="LogAnalyzer", openapi_url=None)
    both = [reads("score_nightly"), reads("train_detectors")]
    app.get("/", dependencies=both)(overview)
    app.get("/runs/{dag_id}/{run_id}", dependencies=[reads()])(run)
    app.get("/docs/{path:path}", dependencies=[reads("ingest_logs")])(docs)
    return app


def overview() -> HTMLResponse:
    """The last nights of each source, the open incidents and the last verdicts."""
    with open_workspace().engine.connect() as conn:
        return _page(
            "overview.html",
            nights=coverage.nights(conn, limit=NIGHTS),
            incidents_of=incidents.per_night(conn),
            incidents=incidents.query(conn)[:INCIDENTS],
            promotions=promotions.history(conn, limit=VERDICTS),
        )


def run(dag_id: str, run_id: str) -> HTMLResponse:
    """What a run has found, or decided."""
    if dag_id == "score_nightly":
        return _nights(run_id)
    if dag_id == "train_detectors":
        with open_workspace().engine.connect() as conn:
            return _page("verdicts.html", promotions=promotions.of_run(conn, run_id))
    return _page("nothing.html", dag_id=dag_id)


def _nights(run_id: str) -> HTMLResponse:
    nights = nights_of(run_id)
    with open_workspace().engine.connect() as conn:
        for night in nights:
            if night["scored"]:
                version = night["scored"]["model_version"]
                key = (night["source"], night["start"], night["end"], version)
                night["anomalies"] = anomalies.of_version(conn, *key, limit=ANOMALIES)
    return _page("nights.html", nights=nights, most=ANOMALIES)


def docs(path: str) -> Response:
    """A page of the Data Docs. Nothing but pages of the site below `DOCS` has an address here."""
    space = open_workspace()
    bucket, key = space.settings.bucket_docs, f"{DOCS}/{path}"
    media_type = MEDIA_TYPES.get(PurePosixPath(path).suffix)
    is_plain = path.isprintable() and "\\" not in path
    if media_type is None or not is_plain or {"", ".", ".."} & set(path.split("/")):
        raise HTTPException(404, "no such page")
    if not space.store.exists(bucket, key):
        raise HTTPException(404, "no such page: nothing was checked, or its run is not over yet")
    content = space.store.get_bytes(bucket, key)
    return Response(content, media_type=media_type, headers=HEADERS_OF_DOCS)
