"""The API over the stack's Postgres and object store, and people who call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from include.database import accounts, logins
from include.workspace import Workspace, open_workspace
from services.api import limits
from services.api.app import create_app

Login = Callable[..., TestClient]


@pytest.fixture
def space(workspace: Workspace) -> Iterator[Workspace]:
    """A workspace whose pool of connections ends with the test."""
    own = replace(workspace, engine=sa.create_engine(workspace.engine.url))
    yield own
    own.engine.dispose()


@pytest.fixture(scope="session")
def app(stack: object) -> FastAPI:
    """The API, made once: that takes longer than most tests."""
    return create_app(open_workspace())


@pytest.fixture
def client(app: FastAPI, space: Workspace) -> Iterator[TestClient]:
    """Somebody who has not logged in; the API works on the test's own workspace, and has counted
    nothing yet."""
    app.state.workspace = space
    app.state.limiter = limits.new_limiter()
    with TestClient(app, raise_server_exceptions=False) as caller:
        yield caller


@pytest.fixture
def login(space: Workspace, client: TestClient) -> Login:
    """Makes a user of a role and gives somebody who calls with their session."""

    def make(role: str = "viewer", name: str | None = None) -> TestClient:
        with space.engine.begin() as conn:
            user = accounts.create_user(conn, name or f"u{uuid4().hex[:12]}", None, role)
            secret = logins.open_session(conn, user).secret
        headers = {"Authorization": f"Bearer {secret}"}
        return TestClient(client.app, raise_server_exceptions=False, headers=headers)

    return make
