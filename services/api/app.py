"""The app: `uvicorn --factory services.api.app:create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from include import database, tracking
from include.workspace import Workspace, open_workspace
from services.api import access, limits, problems
from services.api.bodies import Bounded
from services.api.fields import refuse_nul
from services.api.observing import Observed, log_as_json
from services.api.routes import (
    accounts,
    anomalies,
    audit,
    feedback,
    health,
    incidents,
    labels,
    lines,
    login_pages,
    models,
    pipeline,
    proposals,
    runs,
    samples,
    score,
    sources,
    templates,
    users,
)

ROUTERS = (
    health.router,
    login_pages.router,
    accounts.router,
    users.router,
    audit.router,
    score.router,
    samples.router,
    runs.router,
    models.router,
    pipeline.router,
    anomalies.router,
    lines.router,
    incidents.router,
    feedback.router,
    labels.router,
    proposals.router,
    sources.router,
    templates.router,
)
# Nobody waits for longer, and others wait for the database too.
LONGEST_STATEMENT_S = 20
THREADS = 8
# Their routes read, and bound, the bodies themselves.
OWN_BODIES = frozenset({"/v1/score", "/v1/score/stream", "/v1/samples"})
ABOUT = """\
The anomalies of the night, the lines behind them, and what people say of them.

Programs send `Authorization: Bearer …` with an API token; errors are `application/problem+json`
(RFC 9457); lists come in pages: pass `next_cursor` on as `cursor`. Times are UTC.
"""


@asynccontextmanager
async def _few_threads(_: FastAPI) -> AsyncIterator[None]:
    """Routes wait for a thread in the order in which they came. More threads than connections would
    wait for these in no order, and keep each other from running."""
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def create_app(workspace: Workspace | None = None) -> FastAPI:
    """The API over a workspace, that of the environment where none is given.

    Raises TypeError where a route does not say who may use it.
    """
    if workspace is None:
        space = open_workspace()
        workspace = replace(space, engine=database.engine(space.settings, LONGEST_STATEMENT_S))
        log_as_json()
        tracking.answer_soon()
    app = FastAPI(
        title="LogAnalyzer",
        version="1",
        description=ABOUT,
        docs_url=None,  # its page loads programs from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        # Else two routes that answer with the same model are told as two models.
        separate_input_output_schemas=False,
        dependencies=[Depends(refuse_nul)],
        lifespan=_few_threads,
    )
    app.state.workspace = workspace
    app.state.limiter = limits.new_limiter()
    app.add_middleware(Bounded, but=OWN_BODIES)
    app.add_middleware(Observed)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    for route in app.routes:
        if isinstance(route, APIRoute):
            access.guard_of(route)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document of the framework, with problems in the place of its own form of errors, and
    what every guarded route may answer."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    template = "#/components/schemas/{model}"
    schemas["ProblemDocument"] = problems.ProblemDocument.model_json_schema(ref_template=template)
    for route in app.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        guard = access.guard_of(route)
        for method in route.methods:
            operation = document["paths"][route.path_format][method.lower()]
            told = operation["responses"]
            told.update(
                _as_json(problems.responses(422))
            )  # of an address with a NUL, if nothing else
            if "requestBody" in operation:
                told.update(_as_json(problems.responses(400, 413)))
            if guard is not access.anybody:
                told.update(_as_json(problems.responses(401, 403)))
    app.openapi_schema = document
    return document


def _as_json(responses: dict[int | str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(status): response for status, response in responses.items()}
