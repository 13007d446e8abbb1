"""The API as the dashboard asks it: one pool of connections, the login of each person with each
call, and every failure as an `ApiError` that says what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import httpx

from services.dashboard.settings import get_settings

AGENT = "loganalyzer-dashboard/1"
SECONDS = 60.0
AT_ONCE = 8


class ApiError(Exception):
    """The API refused or could not be asked. status: 0 where it did not answer."""

    def __init__(self, status: int, detail: str, request_id: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.request_id = status, detail, request_id


@lru_cache(maxsize=1)
def connections() -> httpx.Client:
    """Those of this process."""
    return httpx.Client(
        base_url=get_settings().api_address, timeout=SECONDS, headers={"User-Agent": AGENT}
    )


@dataclass(frozen=True, slots=True)
class Api:
    """The API in the name of a person. address: where their browser is, for the record of
    actions. Every method raises ApiError."""

    http: httpx.Client
    secret: str | None
    address: str | None = None

    def get(self, path: str, **query: Any) -> Any:
        """What a path answers; parameters that are None or empty are left out."""
        return self._asked("GET", path, params=_given(query)).json()

    def text(self, path: str, **query: Any) -> str:
        return self._asked("GET", path, params=_given(query)).text

    def post(self, path: str, body: Any = None) -> Any:
        return _content(self._asked("POST", path, json=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        return _content(self._asked("PATCH", path, json=body))

    def delete(self, path: str) -> None:
        self._asked("DELETE", path)

    def send(self, path: str, lines: bytes, **query: Any) -> Any:
        """Send lines of a log as they are."""
        headers = {"Content-Type": "text/plain"}
        return self._asked(
            "POST", path, content=lines, params=_given(query), headers=headers
        ).json()

    def upload(self, path: str, name: str, content: bytes, **fields: Any) -> Any:
        """Send a file as a form of a browser would."""
        files = {"file": (name, content)}
        return self._asked("POST", path, files=files, data=_given(fields)).json()

    def _asked(self, method: str, path: str, **what: Any) -> httpx.Response:
        headers: dict[str, str] = what.pop("headers", {})
        if self.secret:
            headers["Authorization"] = f"Bearer {self.secret}"
        if self.address:
            headers["X-Forwarded-For"] = self.address
        try:
            answer = self.http.request(method, path, headers=headers, **what)
        except httpx.HTTPError as error:
            told = (
                "The API does not answer. See whether it runs (loganalyzer status), then try again."
            )
            raise ApiError(0, told) from error
        if answer.is_error:
            raise _problem(answer)
        return answer


def path(*parts: str) -> str:
    """The path of a thing by its names, which may hold anything.

    >>> path("incidents", "../x y")
    '/v1/incidents/..%2Fx%20y'
    """
    return "/".join(("/v1", *(quote(part, safe="") for part in parts)))


def together(**calls: Callable[[], Any]) -> dict[str, Any]:
    """Independent questions asked at the same time, with their answers by name."""
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(calls)))) as pool:
        asked = {name: pool.submit(call) for name, call in calls.items()}
        return {name: answer.result() for name, answer in asked.items()}


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value not in (None, "")}


def _content(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else None


def _problem(answer: httpx.Response) -> ApiError:
    try:
        document = answer.json()
        return ApiError(answer.status_code, document["detail"], document.get("request_id"))
    except (ValueError, KeyError, TypeError):  # a proxy on the way has its own errors
        told = f"the API answered {answer.status_code} {answer.reason_phrase}"
        return ApiError(answer.status_code, told)
