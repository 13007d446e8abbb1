"""Airflow from outside: its REST API, as far as the commands, the API and benchmarks need it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx

POLL_S = 1.0
ENDED = {"success", "failed"}
DAG_PATIENCE_S = 90
# A token that is too old, and one that another Airflow has signed.
REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


class AirflowError(RuntimeError):
    """A run failed or could not be started; the message says what Airflow said.

    status: of its answer, None where there was none.
    """

    def __init__(self, told: str, status: int | None = None) -> None:
        super().__init__(told)
        self.status = status


class AirflowAway(AirflowError):
    """Airflow does not answer."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How many task instances of a run are in which state."""

    state: str
    tasks: Mapping[str, int]


class _Login(httpx.Auth):
    """Logs in before the first request, and again once what it was given is refused."""

    requires_response_body = True

    def __init__(self, url: str, user: str, password: str) -> None:
        self._login = httpx.Request(
            "POST", f"{url}/auth/token", json={"username": user, "password": password}
        )
        self._token: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        is_fresh = self._token is None
        if is_fresh:
            self._take((yield self._login))
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code in REFUSED and not is_fresh:
            self._take((yield self._login))
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _take(self, answer: httpx.Response) -> None:
        if answer.is_error:
            told = "it does not know this user and password"
            raise AirflowError(f"no login: {answer.status_code}, {told}", answer.status_code)
        self._token = answer.json()["access_token"]


@cache
def _client() -> httpx.Client:
    """One for all: to make it takes longer than to ask."""
    return httpx.Client()


def health(url: str, seconds: float) -> dict[str, Any]:
    """What Airflow says of its components, to anybody. Raises AirflowAway where it says nothing
    within so many seconds."""
    try:
        answer = _client().get(f"{url}/api/v2/monitor/health", timeout=seconds)
        found: dict[str, Any] = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise AirflowAway(f"{url} does not answer: {error}") from error
    return found


class AirflowApi:
    """A session with Airflow's API server, which logs in by itself; threads may share it."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=f"{url}/api/v2", auth=_Login(url, user, password), timeout=60
        )

    def unpause(self, dag_id: str, patience_s: float = DAG_PATIENCE_S) -> None:
        """Let a DAG run; waits for Airflow to have read its file."""
        deadline = time.monotonic() + patience_s
        while True:
            answer = self._ask("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
            if answer.status_code != httpx.codes.NOT_FOUND:
                self._checked(answer)
                return
            if time.monotonic() > deadline:
                raise AirflowError(f"Airflow does not know the DAG {dag_id}: {self._why_not()}")
            time.sleep(POLL_S)

    def trigger(self, dag_id: str, conf: Mapping[str, Any], note: str | None = None) -> str:
        """Start a run and return its id. Raises AirflowError where the parameters do not fit."""
        body = {"logical_date": None, "conf": dict(conf), "note": note}
        run_id: str = self._asked("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def params_of(self, dag_id: str) -> dict[str, Any]:
        """The parameters of a DAG by name, each with its `value`, `description` and `schema`."""
        found: dict[str, Any] = self._asked("GET", f"/dags/{dag_id}/details")["params"]
        return found

    def runs(self, dag_id: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest runs of one DAG, or of all."""
        query = {"limit": limit, "order_by": "-run_after"}
        found: list[dict[str, Any]] = self._asked(
            "GET", f"/dags/{dag_id or '~'}/dagRuns", params=query
        )["dag_runs"]
        return found

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._asked("GET", _of_run(dag_id, run_id))
        return found

    def questions(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """What a run waits for people to answer."""
        found: list[dict[str, Any]] = self._asked(
            "GET",
            f"{_of_run(dag_id, run_id)}/hitlDetails",
            params={"response_received": False, "limit": 100},
        )["hitl_details"]
        return found

    def page_of(self, dag_id: str, run_id: str) -> str:
        """Where a browser shows a run."""
        return f"{self.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"

    def wait(
        self,
        dag_id: str,
        run_id: str,
        progress: Callable[[RunProgress], None] = lambda progress: None,
        seconds: float = 3600,
    ) -> None:
        """Wait for a run to end well. Raises AirflowError that names the tasks that failed."""
        deadline = time.monotonic() + seconds
        while True:
            run = self.run(dag_id, run_id)
            tasks = self.task_instances(dag_id, run_id)
            states = [str(task["state"] or "waiting") for task in tasks]
            progress(RunProgress(run["state"], {name: states.count(name) for name in set(states)}))
            if run["state"] == "success":
                return
            if run["state"] in ENDED:
                raise AirflowError(self._failure(dag_id, run_id, tasks))
            if time.monotonic() > deadline:
                raise AirflowError(self._still_open(dag_id, run_id, tasks, seconds))
            time.sleep(POLL_S)

    def answer(
        self, dag_id: str, run_id: str, task_id: str, option: str, map_index: int = -1
    ) -> None:
        """Answer a task that waits for a person. Raises AirflowError where it does not wait."""
        place = f"{_of_run(dag_id, run_id)}/taskInstances/{task_id}/{map_index}/hitlDetails"
        self._asked("PATCH", place, json={"chosen_options": [option], "params_input": {}})

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._asked(
            "GET", f"{_of_run(dag_id, run_id)}/taskInstances", params={"limit": 1000}
        )["task_instances"]
        return found

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        return self._asked(
            "GET",
            f"{_of_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/return_value",
            params={"map_index": map_index, "deserialize": True},
        )["value"]

    def _still_open(
        self, dag_id: str, run_id: str, tasks: list[dict[str, Any]], seconds: float
    ) -> str:
        where = self.page_of(dag_id, run_id)
        open_ = [
            f"  {task['task_id']}: {task['state'] or 'waiting'}, attempt {task['try_number']}"
            for task in tasks
            if task["state"] not in ENDED | {"skipped", "upstream_failed"}
        ]
        return "\n".join([f"{dag_id} has not ended after {seconds:.0f} s: {where}", *open_])

    def _failure(self, dag_id: str, run_id: str, tasks: list[dict[str, Any]]) -> str:
        failed = [task for task in tasks if task["state"] == "failed"]
        lines = [f"{dag_id} failed; its run: {self.page_of(dag_id, run_id)}"]
        for task in failed:
            lines.append(f"task {task['task_id']} (attempt {task['try_number']}) ended with:")
            lines += [f"  {line}" for line in self._log_tail(dag_id, run_id, task)]
        return "\n".join(lines)

    def _log_tail(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        answer = self._ask(
            "GET",
            f"{_of_run(dag_id, run_id)}/taskInstances/{task['task_id']}/logs/{task['try_number']}",
            params={"map_index": task["map_index"], "full_content": True},
        )
        if answer.is_error:
            return [f"(no log: {answer.status_code})"]
        told = []
        for entry in answer.json()["content"]:
            if isinstance(entry, dict) and entry.get("level") in {"error", "critical", "warning"}:
                told.append(str(entry["event"]))
                told += [
                    f"{detail.get('exc_type')}: {detail.get('exc_value')}"
                    for detail in entry.get("error_detail") or []
                ]
        return told[-6:] or ["(its log holds no error)"]

    def _why_not(self) -> str:
        errors = self._asked("GET", "/importErrors")["import_errors"]
        return "; ".join(error["stack_trace"] for error in errors) or "it is not in the DAGs folder"

    def _asked(self, method: str, path: str, **about: Any) -> Any:
        """The document that Airflow answers with. Raises AirflowError."""
        return self._checked(self._ask(method, path, **about)).json()

    def _ask(self, method: str, path: str, **about: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **about)
        except httpx.TransportError as error:
            raise AirflowAway(f"{self.url} does not answer: {error}") from error

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise AirflowError(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} "
                f"{answer.text[:500]}",
                answer.status_code,
            )
        return answer


def _of_run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
