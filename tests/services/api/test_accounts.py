"""Sessions, passwords, tokens and registration, as their owners use them."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.database import accounts
from include.workspace import Workspace
from services.api.app import create_app
from tests.services.api.conftest import Login

PASSWORD, OTHER = "correct horse battery", "another password"

pytestmark = pytest.mark.usefixtures("quick_hashes")


def new_name() -> str:
    return f"u{uuid4().hex[:12]}"


def registering(space: Workspace, registration: str) -> TestClient:
    """Somebody without a login, where the setting is such."""
    settings = space.settings.model_copy(update={"registration": registration})
    own = {"Origin": "http://testserver"}
    return TestClient(
        create_app(replace(space, settings=settings)),
        raise_server_exceptions=False,
        follow_redirects=False,
        headers=own,
    )


def entries(space: Workspace, subject: str) -> list[tuple]:
    query = (
        "SELECT actor, action, before, after FROM loganalyzer.audit_log "
        "WHERE subject = :subject ORDER BY audit_id"
    )
    with space.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(sa.text(query), {"subject": subject})]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_a_lost_computer_is_logged_out_from_another_one(
    client: TestClient, space: Workspace
) -> None:
    name = new_name()
    with space.engine.begin() as conn:
        accounts.create_user(conn, name, PASSWORD, "viewer")
    credentials = {"name": name, "password": PASSWORD}
    lost, here = (
        client.post("/v1/session", json=credentials, headers={"User-Agent": agent}).json()["secret"]
        for agent in ("lost", "here")
    )
    listed = client.get("/v1/me/sessions", headers=bearer(here)).json()["items"]
    assert [(each["user_agent"], each["is_this"]) for each in listed] == [
        ("here", True),
        ("lost", False),
    ]
    path = f"/v1/me/sessions/{listed[1]['session_id']}"
    assert client.delete(path, headers=bearer(here)).status_code == 204
    assert client.get("/v1/me", headers=bearer(lost)).status_code == 401
    assert client.delete(path, headers=bearer(here)).status_code == 404


def test_sessions_and_tokens_of_others_are_not_there(login: Login) -> None:
    mine, theirs = login(), login("admin")
    session = theirs.get("/v1/me/sessions").json()["items"][0]["session_id"]
    asked = {"name": "x", "scopes": ["read"], "expires_in_days": 1}
    token = theirs.post("/v1/me/tokens", json=asked).json()["token_id"]
    assert mine.delete(f"/v1/me/sessions/{session}").status_code == 404
    assert mine.delete(f"/v1/me/tokens/{token}").status_code == 404
    assert mine.get("/v1/me/tokens").json() == {"items": [], "next_cursor": None}
    assert theirs.get("/v1/me").status_code == 200


def test_lists_of_secrets_come_in_pages(login: Login) -> None:
    caller = login()
    for number in range(3):
        asked = {"name": f"n{number}", "scopes": ["read"], "expires_in_days": 1}
        caller.post("/v1/me/tokens", json=asked)
    first = caller.get("/v1/me/tokens", params={"limit": 2}).json()
    then = caller.get("/v1/me/tokens", params={"cursor": first["next_cursor"]}).json()
    assert [each["name"] for each in first["items"] + then["items"]] == ["n2", "n1", "n0"]
    assert then["next_cursor"] is None
    assert caller.get("/v1/me/tokens", params={"cursor": "bm9uZQ"}).status_code == 422


def test_a_token_does_what_its_scopes_and_its_user_may(
    login: Login, client: TestClient, space: Workspace
) -> None:
    analyst = login("analyst")
    name = analyst.get("/v1/me").json()["name"]
    asked = {"name": "nightly report", "scopes": ["read", "run"], "expires_in_days": 1}
    answer = analyst.post("/v1/me/tokens", json=asked)
    assert answer.status_code == 201
    secret = answer.json()["secret"]
    me = client.get("/v1/me", headers=bearer(secret)).json()
    assert (me["permissions"], me["token"]) == (["read", "run"], "nightly report")
    with space.engine.begin() as conn:
        accounts.change_user(conn, name, role="viewer")
    assert client.get("/v1/me", headers=bearer(secret)).json()["permissions"] == ["read"]
    assert client.get("/v1/me/tokens", headers=bearer(secret)).status_code == 403
    token_id = answer.json()["token_id"]
    assert analyst.delete(f"/v1/me/tokens/{token_id}").status_code == 204
    assert client.get("/v1/me", headers=bearer(secret)).status_code == 401
    told = [(actor, action) for actor, action, *_ in entries(space, str(token_id))]
    assert {(name, "token.create"), (name, "token.revoke")} <= set(told)


def test_a_token_gets_no_right_that_its_user_lacks(login: Login) -> None:
    asked = {"name": "x", "scopes": ["read", "admin"], "expires_in_days": 1}
    answer = login("viewer").post("/v1/me/tokens", json=asked)
    assert answer.status_code == 403
    assert "you lack admin" in answer.json()["detail"]


def test_secrets_are_kept_as_hashes_alone(login: Login, space: Workspace) -> None:
    caller = login("admin")
    asked = {"name": "x", "scopes": ["read"], "expires_in_days": 1}
    secrets = [
        caller.headers["Authorization"].removeprefix("Bearer "),
        caller.post("/v1/me/tokens", json=asked).json()["secret"],
        caller.post("/v1/invitations", json={"role": "viewer"}).json()["link"].split("=")[1],
    ]
    tables = ("sessions", "api_tokens", "invitations", "users", "audit_log")
    with space.engine.connect() as conn:
        for table in tables:
            rows = conn.execute(sa.text(f"SELECT t::text FROM loganalyzer.{table} AS t"))
            kept = "\n".join(rows.scalars())
            assert not any(secret in kept for secret in secrets)


def test_a_password_is_changed_by_who_knows_it(client: TestClient, space: Workspace) -> None:
    name = new_name()
    with space.engine.begin() as conn:
        accounts.create_user(conn, name, PASSWORD, "viewer")
    credentials = {"name": name, "password": PASSWORD}
    here, there = (client.post("/v1/session", json=credentials).json()["secret"] for _ in range(2))
    for current, new, status in (
        ("wrong", OTHER, 409),
        (PASSWORD, "short", 422),
        (PASSWORD, OTHER, 204),
    ):
        change = {"current": current, "new": new}
        answer = client.post("/v1/me/password", json=change, headers=bearer(here))
        assert answer.status_code == status
        assert OTHER not in answer.text
    assert client.get("/v1/me", headers=bearer(here)).status_code == 200
    assert client.get("/v1/me", headers=bearer(there)).status_code == 401
    assert client.post("/v1/session", json=credentials).status_code == 401
    assert (name, "user.update", None, {"password": "changed"}) in entries(space, name)


@pytest.mark.parametrize(("registration", "status"), [("open", 201), ("invite", 403), ("off", 403)])
def test_registration_is_as_the_setting_says(
    space: Workspace, registration: str, status: int
) -> None:
    name = new_name()
    client = registering(space, registration)
    asked = {"name": name.upper(), "password": PASSWORD}
    answer = client.post("/v1/registrations", json=asked)
    assert answer.status_code == status
    if status == 201:
        assert answer.json() == {"name": name, "role": "viewer"}
        assert client.post("/v1/registrations", json=asked).status_code == 409
        told = (name, "user.register", None, {"role": "viewer", "invitation": None})
        assert entries(space, name) == [told]


def test_who_is_invited_registers_on_a_page_and_is_logged_in(
    space: Workspace, login: Login
) -> None:
    client = registering(space, "invite")
    answer = login("admin").post("/v1/invitations", json={"role": "analyst"})
    assert answer.status_code == 201
    link = answer.json()["link"]
    assert link.startswith(f"{space.settings.api_url}/register?invitation=lai_")
    path = link.removeprefix(space.settings.api_url)
    page = client.get(path)
    assert page.status_code == 200
    form = {"name": new_name(), "invitation": path.split("=")[1]}
    short = client.post("/register", data=form | {"password": "short"})
    assert short.status_code == 422
    assert 'role="alert"' in short.text
    assert form["name"] in short.text
    done = client.post("/register", data=form | {"password": PASSWORD})
    assert done.status_code == 303
    assert client.get("/v1/me").json()["role"] == "analyst"
    assert client.get(path).status_code == 403
    assert "<form" not in client.get(path).text


def test_a_page_of_another_site_registers_nobody(space: Workspace) -> None:
    client = registering(space, "open")
    form = {"name": new_name(), "password": PASSWORD}
    answer = client.post("/register", data=form, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_registrations_of_an_address_are_limited(space: Workspace) -> None:
    client = registering(space, "off")
    asked = {"name": "ada", "password": PASSWORD}
    statuses = [client.post("/v1/registrations", json=asked).status_code for _ in range(21)]
    assert statuses == [403] * 20 + [429]


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "a b", "password": PASSWORD},
        {"name": "ada", "password": "short"},
        {"name": "ada", "password": PASSWORD, "email": "none"},
        {"name": "ada", "password": PASSWORD, "email": "a\0@example.com"},
        {"name": "a-long-password", "password": "A-long-password"},
        {"name": "nobody", "password": PASSWORD},
    ],
)
def test_what_is_against_the_rules_is_told_without_the_password(
    space: Workspace, asked: dict
) -> None:
    answer = registering(space, "open").post("/v1/registrations", json=asked)
    assert answer.status_code == 422
    assert asked["password"] not in answer.text
