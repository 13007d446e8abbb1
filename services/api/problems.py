"""Errors as RFC 9457 has them: `application/problem+json`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from include import database
from include.tracking import MlflowException
from services.airflow_api import AirflowAway, AirflowError

MEDIA_TYPE = "application/problem+json"
# What Airflow refuses as not there or not fitting is so for who asked us.
OF_AIRFLOW = {400: 422, 404: 404, 409: 409, 422: 422}

log = structlog.get_logger()


class ProblemDocument(BaseModel):
    """What went wrong with a request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "no incident 'ab12': `GET /v1/incidents` lists them",
                    "request_id": "0f9c6f0e9d6f4c0e",
                }
            ]
        }
    )

    type: str = Field(description="always about:blank: the status says what kind it is")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what was wrong, and what to do")
    request_id: str = Field(description="of this request, as the log names it")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="of a request that does not fit: where, and what is wrong there"
    )


class Problem(Exception):
    """Ends a request with a status and a detail for people."""

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers, more


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route: that it may end with these, as problems."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }


def answer(request: Request, problem: Problem) -> JSONResponse:
    document = ProblemDocument(
        type="about:blank",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        request_id=request.state.request_id,
        **problem.more,
    )
    return JSONResponse(
        document.model_dump(exclude_none=True),
        problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Answer every error of an app with a problem."""

    @app.exception_handler(Problem)
    def _problem(request: Request, error: Problem) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    def _of_framework(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        return answer(request, Problem(error.status_code, str(error.detail), headers))

    @app.exception_handler(RequestValidationError)
    def _unfitting(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": ".".join(map(str, each["loc"])), "what": each["msg"]}
            for each in error.errors()
        ]
        told = "; ".join(f"{each['where']}: {each['what']}" for each in errors)
        return answer(request, Problem(422, told, errors=errors))

    @app.exception_handler(AirflowError)
    def _of_airflow(request: Request, error: AirflowError) -> JSONResponse:
        if isinstance(error, AirflowAway):
            return answer(request, Problem(503, f"Airflow does not answer: {error}"))
        status = OF_AIRFLOW.get(error.status or 0, 502)
        return answer(request, Problem(status, f"Airflow refused: {error}"))

    @app.exception_handler(MlflowException)
    def _of_mlflow(request: Request, error: MlflowException) -> JSONResponse:
        log.exception("mlflow", exc_info=error, request_id=request.state.request_id)
        return answer(request, Problem(503, "MLflow, which knows the models, does not answer"))

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> JSONResponse:
        if database.took_too_long(error):
            told = "the database took too long for this: ask for less, as for a shorter period"
            return answer(request, Problem(503, told))
        log.exception("unexpected", exc_info=error, request_id=request.state.request_id)
        told = "something failed here; the log tells more under the request id"
        return answer(request, Problem(500, told))
