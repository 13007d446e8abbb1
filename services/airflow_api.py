"""Airflow from outside: its REST API, as far as the commands and benchmarks need it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

POLL_S = 1.0
ENDED = {"success", "failed"}
DAG_PATIENCE_S = 90


class AirflowError(RuntimeError):
    """A run failed or could not be started; the message says what Airflow said."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How many task instances of a run are in which state."""

    state: str
    tasks: Mapping[str, int]


class AirflowApi:
    """A session with Airflow's API server."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        login = httpx.post(
            f"{url}/auth/token", json={"username": user, "password": password}, timeout=30
        )
        login.raise_for_status()
        token = login.json()["access_token"]
        self._http = httpx.Client(
            base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run; waits for Airflow to have read its file."""
        deadline = time.monotonic() + DAG_PATIENCE_S
        while True:
            answer = self._http.patch(f"/dags/{dag_id}", json={"is_paused": False})
            if answer.status_code != httpx.codes.NOT_FOUND:
                self._checked(answer)
                return
            if time.monotonic() > deadline:
                raise AirflowError(f"Airflow does not know the DAG {dag_id}: {self._why_not()}")
            time.sleep(POLL_S)

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run and return its id. Raises AirflowError where the parameters do not fit."""
        body = {"logical_date": None, "conf": dict(conf)}
        run_id: str = self._checked(self._http.post(f"/dags/{dag_id}/dagRuns", json=body)).json()[
            "dag_run_id"
        ]
        return run_id

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
            run = self._checked(self._http.get(f"/dags/{dag_id}/dagRuns/{run_id}")).json()
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
        place = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/{map_index}/hitlDetails"
        body = {"chosen_options": [option], "params_input": {}}
        self._checked(self._http.patch(place, json=body))

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        answer = self._http.get(
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 1000}
        )
        found: list[dict[str, Any]] = self._checked(answer).json()["task_instances"]
        return found

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        answer = self._http.get(
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value",
            params={"map_index": map_index, "deserialize": True},
        )
        return self._checked(answer).json()["value"]

    def _still_open(
        self, dag_id: str, run_id: str, tasks: list[dict[str, Any]], seconds: float
    ) -> str:
        where = f"{self.url}/dags/{dag_id}/runs/{run_id}"
        open_ = [
            f"  {task['task_id']}: {task['state'] or 'waiting'}, attempt {task['try_number']}"
            for task in tasks
            if task["state"] not in ENDED | {"skipped", "upstream_failed"}
        ]
        return "\n".join([f"{dag_id} has not ended after {seconds:.0f} s: {where}", *open_])

    def _failure(self, dag_id: str, run_id: str, tasks: list[dict[str, Any]]) -> str:
        failed = [task for task in tasks if task["state"] == "failed"]
        lines = [f"{dag_id} failed; its run: {self.url}/dags/{dag_id}/runs/{run_id}"]
        for task in failed:
            lines.append(f"task {task['task_id']} (attempt {task['try_number']}) ended with:")
            lines += [f"  {line}" for line in self._log_tail(dag_id, run_id, task)]
        return "\n".join(lines)

    def _log_tail(self, dag_id: str, run_id: str, task: dict[str, Any]) -> list[str]:
        answer = self._http.get(
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/"
            f"{task['try_number']}",
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
        errors = self._checked(self._http.get("/importErrors")).json()["import_errors"]
        return "; ".join(error["stack_trace"] for error in errors) or "it is not in the DAGs folder"

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise AirflowError(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} "
                f"{answer.text[:500]}"
            )
        return answer
