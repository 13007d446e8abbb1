"""How often somebody may do something, by whom they are and by where they come from."""

from __future__ import annotations

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from include.workspace import Workspace
from services.api.access import anybody
from services.api.app import create_app
from services.api.limits import address_of, limited
from tests.services.api.conftest import Login


@pytest.fixture
def app(space: Workspace) -> FastAPI:
    """The API with a route that each user, and one that each address, may call twice an hour."""
    app = create_app(space)
    of_user = [Depends(limited("x", "2/hour"))]
    of_address = [Depends(anybody), Depends(limited("x", "2/hour", address_of))]
    app.get("/of-user", dependencies=of_user)(lambda: "done")
    app.get("/of-address", dependencies=of_address)(lambda: "done")
    return app


@pytest.mark.usefixtures("app")
def test_a_user_is_limited_and_another_one_is_not(login: Login) -> None:
    ada, bob = login(), login()
    assert [ada.get("/of-user").status_code for _ in range(3)] == [200, 200, 429]
    assert bob.get("/of-user").status_code == 200
    answer = ada.get("/of-user")
    assert answer.json()["detail"].startswith("too often: at most 2 per 1 hour")
    assert 3500 < int(answer.headers["retry-after"]) <= 3600


@pytest.mark.usefixtures("app")
def test_nobody_is_limited_before_they_are_known(client: TestClient) -> None:
    assert [client.get("/of-user").status_code for _ in range(3)] == [401, 401, 401]


@pytest.mark.parametrize(
    ("addresses", "statuses"),
    [
        (["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"], [200, 200, 429, 200]),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"], [200, 200, 429, 200]),
        (["::ffff:10.0.0.1", "::ffff:10.0.0.2", "::ffff:10.0.0.3"], [200, 200, 200]),
    ],
)
def test_an_address_is_limited(app: FastAPI, addresses: list[str], statuses: list[int]) -> None:
    found = [
        TestClient(app, client=(address, 1)).get("/of-address").status_code for address in addresses
    ]
    assert found == statuses
