"""The API answers what its document says, whatever is sent to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.api.bodies import LARGEST_BYTES
from services.api.routes import runs
from tests.services.api.conftest import Login

AS_DOCUMENTED = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
# What these answer where Airflow does not run, as here.
WITHOUT_AIRFLOW = {502, 503}
OF_AIRFLOW = {route.path for route in runs.router.routes}


fuzzed = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def fuzz(client: TestClient, headers_of: Callable[[], Mapping[str, str]]) -> None:
    """Send each operation what the document allows it."""
    document = schemathesis.openapi.from_asgi("/v1/openapi.json", client.app)
    for found in document.get_all_operations():
        # With a login of its own: some end the one that they are called with.
        fuzz_one(found.ok(), dict(headers_of()))


def fuzz_one(operation: schemathesis.APIOperation, headers: dict[str, str]) -> None:
    given(operation.as_strategy())(fuzzed(lambda case: answers(headers, case)))()


def answers(headers: dict[str, str], case: schemathesis.Case) -> None:
    answer = case.call(headers=headers)
    checks = list(AS_DOCUMENTED)
    if case.operation.path not in OF_AIRFLOW or answer.status_code not in WITHOUT_AIRFLOW:
        checks.append(not_a_server_error)
    case.validate_response(answer, checks=checks)


@pytest.mark.slow
def test_nobody_gets_what_the_document_says(client: TestClient) -> None:
    fuzz(client, dict)


@pytest.mark.slow
def test_an_admin_gets_what_the_document_says(client: TestClient, login: Login) -> None:
    fuzz(client, lambda: {"Authorization": login("admin").headers["Authorization"]})


def test_every_route_has_an_answer_in_the_document(client: TestClient) -> None:
    document = client.get("/v1/openapi.json").json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) > 50
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert any(status.startswith("2") for status in operation["responses"])
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")):
                assert list(answer["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("how", ["told", "untold"])
def test_a_body_without_end_is_refused(login: Login, how: str) -> None:
    block = b" " * (LARGEST_BYTES // 4)
    body = block * 5 if how == "told" else (block for _ in range(5))
    answer = login("analyst").post("/v1/feedback", content=body)
    assert answer.status_code in {400, 413}
