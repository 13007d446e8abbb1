"""Each route refuses each who may not use it; a new route is tested without being named here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from include.database import accounts, logins
from include.database.accounts import ROLES
from include.database.audit import Actor
from include.workspace import Workspace
from services.api.access import PERMISSIONS, Permission, anybody, guard_of, in_session

DAY = timedelta(days=1)


def routes_of(client: TestClient) -> Iterator[tuple[str, str, Any]]:
    """The method, an address and the guard of each route that not everybody may use."""
    app = client.app
    assert isinstance(app, FastAPI)
    found = [route for route in app.routes if isinstance(route, APIRoute)]
    assert found
    for route in found:
        guard = guard_of(route)
        for method in route.methods if guard is not anybody else ():
            yield method, re.sub(r"\{[^}]*\}", "1", route.path), guard


def answers(client: TestClient, method: str, path: str, secret: str, **sent: Any) -> int:
    own = {"Authorization": f"Bearer {secret}"} if secret else {}
    return client.request(method, path, headers=own, **(sent or {"json": {}})).status_code


def session_of(space: Workspace, role: str) -> str:
    with space.engine.begin() as conn:
        user = accounts.create_user(conn, f"u{uuid4().hex[:12]}", None, role)
        return logins.open_session(conn, user).secret


def token_with(space: Workspace, *scopes: Permission) -> str:
    """The secret of a token of an admin."""
    with space.engine.begin() as conn:
        user = accounts.create_user(conn, f"u{uuid4().hex[:12]}", None, "admin")
        who = Actor("a test", "cli")
        return logins.create_token(conn, user, "a test", list(scopes), DAY, who).secret


@pytest.mark.parametrize("sent", [{"json": {}}, {"json": [None]}, {"json": "text"}], ids=str)
@pytest.mark.parametrize("secret", ["", "las_unknown", "lat_unknown"])
def test_nobody_without_a_login_passes_whatever_they_send(
    client: TestClient, sent: dict, secret: str
) -> None:
    passed = {
        (method, path): status
        for method, path, _ in routes_of(client)
        if (status := answers(client, method, path, secret, **sent)) != 401
    }
    assert passed == {}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_does_what_it_may_and_nothing_else(
    client: TestClient, space: Workspace, role: str
) -> None:
    for method, path, guard in routes_of(client):
        needed = getattr(guard, "permission", None)
        status = answers(client, method, path, session_of(space, role))
        if needed is None or needed in PERMISSIONS[role]:
            assert status not in (401, 403), (method, path)
        else:
            assert status == 403, (method, path)


@pytest.mark.parametrize("scope", Permission)
def test_a_token_does_what_its_scope_gives_and_nothing_else(
    client: TestClient, space: Workspace, scope: Permission
) -> None:
    only = token_with(space, scope)
    but = token_with(space, *(set(Permission) - {scope}))
    for method, path, guard in routes_of(client):
        needed = getattr(guard, "permission", None)
        if needed == scope:
            assert answers(client, method, path, only) not in (401, 403), (method, path)
            assert answers(client, method, path, but) == 403, (method, path)
        elif needed is not None or guard is in_session:
            assert answers(client, method, path, only) == 403, (method, path)
