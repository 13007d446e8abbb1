"""Admins manage the accounts of others."""

from __future__ import annotations

from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.workspace import Workspace
from tests.services.api.conftest import Login
from tests.services.api.test_accounts import (
    OTHER,
    PASSWORD,
    bearer,
    entries,
    new_name,
    registering,
)

pytestmark = pytest.mark.usefixtures("quick_hashes")


def made(admin: TestClient, role: str = "viewer") -> str:
    """The name of a new user."""
    name = new_name()
    asked = {"name": name, "password": PASSWORD, "role": role, "email": "a@example.com"}
    answer = admin.post("/v1/users", json=asked)
    assert answer.status_code == 201
    assert answer.json()["email"] == "a@example.com"
    return name


def logged_in(client: TestClient, name: str, password: str = PASSWORD) -> dict[str, str] | None:
    answer = client.post("/v1/session", json={"name": name, "password": password})
    return bearer(answer.json()["secret"]) if answer.status_code == 201 else None


def test_a_user_is_made_changed_and_stopped(
    login: Login, client: TestClient, space: Workspace
) -> None:
    admin = login("admin")
    name = made(admin)
    own = logged_in(client, name)
    assert own is not None
    path = f"/v1/users/{name.upper()}"
    changed = admin.patch(path, json={"role": "analyst"})
    assert (changed.status_code, changed.json()["role"]) == (200, "analyst")
    assert client.get("/v1/me", headers=own).json()["role"] == "analyst"
    assert admin.patch(path, json={"is_active": False}).json()["is_active"] is False
    assert client.get("/v1/me", headers=own).status_code == 401
    assert logged_in(client, name) is None
    told = [(before, after) for _, action, before, after in entries(space, name) if before]
    was = {"role": "viewer", "is_active": True, "is_locked": False, "email": "a@example.com"}
    assert told == [
        (was, was | {"role": "analyst"}),
        (was | {"role": "analyst"}, was | {"role": "analyst", "is_active": False}),
    ]


def test_what_changes_nothing_is_not_written_down(login: Login, space: Workspace) -> None:
    admin = login("admin")
    name = made(admin)
    assert admin.patch(f"/v1/users/{name}", json={"role": "viewer"}).status_code == 200
    assert [action for _, action, *_ in entries(space, name)] == ["user.create"]


def test_the_last_active_admin_stays_one(login: Login, space: Workspace) -> None:
    admin = login("admin")
    name = admin.get("/v1/me").json()["name"]
    with space.engine.begin() as conn:
        others = sa.text("UPDATE loganalyzer.users SET is_active = (name = :name)")
        conn.execute(others, {"name": name})
    for change in ({"role": "viewer"}, {"is_active": False}):
        answer = admin.patch(f"/v1/users/{name}", json=change)
        assert answer.status_code == 409
        assert "last active admin" in answer.json()["detail"]


def test_a_locked_user_is_let_in_by_an_admin(
    login: Login, client: TestClient, space: Workspace
) -> None:
    admin = login("admin")
    name = made(admin)
    for _ in range(10):
        assert logged_in(client, name, "wrong") is None
    assert logged_in(client, name) is None
    assert admin.patch(f"/v1/users/{name}", json={"unlock": True}).json()["is_locked"] is False
    assert logged_in(client, name) is not None


def test_another_password_ends_the_logins_of_a_user(login: Login, client: TestClient) -> None:
    admin = login("admin")
    name = made(admin)
    own = logged_in(client, name)
    answer = admin.post(f"/v1/users/{name}/password", json={"new": OTHER})
    assert answer.status_code == 204
    assert client.get("/v1/me", headers=own).status_code == 401
    assert logged_in(client, name) is None
    assert logged_in(client, name, OTHER) is not None


def test_the_logins_of_a_user_are_ended(login: Login, client: TestClient) -> None:
    admin = login("admin")
    name = made(admin)
    own = logged_in(client, name)
    assert admin.delete(f"/v1/users/{name}/sessions").status_code == 204
    assert client.get("/v1/me", headers=own).status_code == 401


def test_nobody_of_a_name_is_not_found(login: Login) -> None:
    admin = login("admin")
    path = f"/v1/users/{uuid4().hex}"
    for answer in (
        admin.patch(path, json={"role": "viewer"}),
        admin.post(f"{path}/password", json={"new": PASSWORD}),
        admin.delete(f"{path}/sessions"),
    ):
        assert answer.status_code == 404


def test_users_come_in_pages_by_name_without_their_hashes(login: Login) -> None:
    admin = login("admin")
    names = sorted(made(admin) for _ in range(3))
    page = admin.get("/v1/users", params={"limit": 2}).json()
    found = page["items"]
    while page["next_cursor"] is not None:
        asked = {"limit": 2, "cursor": page["next_cursor"]}
        page = admin.get("/v1/users", params=asked).json()
        found += page["items"]
    assert "argon2" not in str(found)
    found = [each["name"] for each in found]
    assert found == sorted(found)
    assert set(names) <= set(found)


def test_an_invitation_is_listed_until_it_is_taken_back(login: Login) -> None:
    admin = login("admin")
    made = admin.post("/v1/invitations", json={"role": "viewer", "expires_in_days": 1}).json()
    listed = admin.get("/v1/invitations").json()["items"]
    assert made["invitation_id"] in [each["invitation_id"] for each in listed]
    path = f"/v1/invitations/{made['invitation_id']}"
    assert admin.delete(path).status_code == 204
    assert admin.delete(path).status_code == 404


def test_where_registration_is_off_nobody_is_invited(login: Login, space: Workspace) -> None:
    admin = login("admin")
    off = registering(space, "off")
    answer = off.post("/v1/invitations", json={"role": "viewer"}, headers=dict(admin.headers))
    assert answer.status_code == 409


def test_an_admin_sees_the_tokens_of_all_and_revokes_them(login: Login) -> None:
    admin, analyst = login("admin"), login("analyst")
    asked = {"name": "report", "scopes": ["read"], "expires_in_days": 1}
    token = analyst.post("/v1/me/tokens", json=asked).json()
    owner = analyst.get("/v1/me").json()["name"]
    listed = {each["token_id"]: each for each in admin.get("/v1/tokens").json()["items"]}
    assert listed[token["token_id"]]["user"] == owner
    assert "secret" not in listed[token["token_id"]]
    path = f"/v1/tokens/{token['token_id']}"
    assert admin.delete(path).status_code == 204
    assert analyst.get("/v1/me", headers=bearer(token["secret"])).status_code == 401
    assert admin.delete(path).status_code == 404
