"""Log in and out, in a browser and by program."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.database import accounts
from include.workspace import Workspace
from services.api.access import COOKIE
from services.api.app import create_app
from services.api.routes.login_pages import safe_target
from tests.services.api.conftest import Login

PASSWORD = "correct horse battery"  # noqa: S105  of a test
OWN = {"Origin": "http://testserver"}

pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def ada(space: Workspace) -> str:
    """The name of a user with PASSWORD."""
    name = f"ada-{uuid4().hex[:8]}"
    with space.engine.begin() as conn:
        accounts.create_user(conn, name, PASSWORD, "analyst")
    return name


@pytest.fixture
def browser(client: TestClient) -> TestClient:
    client.follow_redirects = False
    client.headers.update(OWN)
    return client


def test_who_logs_in_goes_on_with_a_cookie_that_is_a_login(
    browser: TestClient, space: Workspace, ada: str
) -> None:
    answer = browser.post("/login", data={"name": ada.upper(), "password": PASSWORD})
    assert answer.status_code == 303
    assert answer.headers["location"] == space.settings.dashboard_url
    kept = answer.headers["set-cookie"].lower()
    assert "httponly" in kept
    assert "samesite=lax" in kept
    assert "path=/;" in kept
    assert "secure" not in kept
    assert browser.get("/v1/me").json() == {
        "name": ada,
        "role": "analyst",
        "permissions": ["judge", "read", "run", "score"],
        "token": None,
    }
    assert ada in browser.get("/login").text


def test_who_logs_out_is_unknown_with_the_same_secret(browser: TestClient, ada: str) -> None:
    browser.post("/login", data={"name": ada, "password": PASSWORD})
    secret = browser.cookies[COOKIE]
    answer = browser.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "login")
    assert COOKIE not in browser.cookies
    again = browser.get("/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert again.status_code == 401


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_page_of_another_site_logs_nobody_in_or_out(
    browser: TestClient, ada: str, path: str, origin: str
) -> None:
    browser.post("/login", data={"name": ada, "password": PASSWORD})
    answer = browser.post(
        path, data={"name": ada, "password": PASSWORD}, headers={"Origin": origin}
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert browser.get("/v1/me").status_code == 200


def test_over_https_the_cookie_is_sent_over_nothing_else(space: Workspace, ada: str) -> None:
    settings = space.settings.model_copy(update={"api_url": "https://logs.example"})
    client = TestClient(create_app(replace(space, settings=settings)), follow_redirects=False)
    answer = client.post(
        "/login",
        data={"name": ada, "password": PASSWORD},
        headers={"Origin": "https://logs.example"},
    )
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("/v1/me?x=1", "/v1/me?x=1"),
        ("http://127.0.0.1:8501/incident?id=1", "http://127.0.0.1:8501/incident?id=1"),
        ("http://127.0.0.1:8000/login", "http://127.0.0.1:8000/login"),
        ("HTTP://127.0.0.1:8501/x", "HTTP://127.0.0.1:8501/x"),
        ("", "http://127.0.0.1:8501"),
        ("https://evil.example/", "http://127.0.0.1:8501"),
        ("//evil.example", "http://127.0.0.1:8501"),
        ("///evil.example", "http://127.0.0.1:8501"),
        ("/\\evil.example", "http://127.0.0.1:8501"),
        ("/\t/evil.example", "http://127.0.0.1:8501"),
        ("http://127.0.0.1:8501@evil.example", "http://127.0.0.1:8501"),
        ("http://127.0.0.1:8501.evil.example", "http://127.0.0.1:8501"),
        ("http:evil.example", "http://127.0.0.1:8501"),
        ("javascript:alert(1)", "http://127.0.0.1:8501"),
        ("http://[", "http://127.0.0.1:8501"),
    ],
)
def test_it_goes_on_to_own_pages_only(space: Workspace, asked: str, target: str) -> None:
    own = {"api_url": "http://127.0.0.1:8000", "dashboard_url": "http://127.0.0.1:8501"}
    assert safe_target(space.settings.model_copy(update=own), asked) == target


def test_wrong_unknown_and_locked_are_told_alike(
    browser: TestClient, space: Workspace, ada: str
) -> None:
    def told(name: str, password: str) -> tuple[int, str]:
        answer = browser.post("/v1/session", json={"name": name, "password": password})
        return answer.status_code, answer.json()["detail"]

    wrong = told(ada, "wrong")
    assert wrong[0] == 401
    assert told("nobody-of-this-name", "wrong") == wrong
    assert told("not a name\t", "wrong") == wrong
    with space.engine.begin() as conn:
        conn.execute(
            sa.text(
                "UPDATE loganalyzer.users SET locked_until = now() + interval '1 minute' "
                "WHERE name = :name"
            ),
            {"name": ada},
        )
    assert told(ada, PASSWORD) == wrong


def test_a_wrong_login_is_told_on_the_page_without_the_password(
    browser: TestClient, ada: str
) -> None:
    answer = browser.post(
        "/login", data={"name": '"><script>', "password": "my wrong one", "next": "//evil.example"}
    )
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "<script>" not in answer.text
    assert "my wrong one" not in answer.text
    assert "evil.example" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_logins_of_an_address_are_limited(browser: TestClient) -> None:
    wrong = {"name": "nobody-of-this-name", "password": "x"}
    statuses = [browser.post("/v1/session", json=wrong).status_code for _ in range(21)]
    assert statuses == [401] * 20 + [429]
    answer = browser.post("/login", data=wrong)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "too often" in answer.text


def test_a_program_logs_in_and_out(client: TestClient, ada: str) -> None:
    answer = client.post("/v1/session", json={"name": ada, "password": PASSWORD})
    assert answer.status_code == 201
    own = {"Authorization": f"Bearer {answer.json()['secret']}"}
    assert client.get("/v1/me", headers=own).json()["name"] == ada
    assert client.delete("/v1/session", headers=own).status_code == 204
    assert client.get("/v1/me", headers=own).status_code == 401


def test_a_session_that_has_expired_is_none(login: Login, space: Workspace) -> None:
    caller = login()
    name = caller.get("/v1/me").json()["name"]
    with space.engine.begin() as conn:
        conn.execute(
            sa.text(
                "UPDATE loganalyzer.sessions SET expires_at = now() WHERE user_id = "
                "(SELECT user_id FROM loganalyzer.users WHERE name = :name)"
            ),
            {"name": name},
        )
    assert caller.get("/v1/me").status_code == 401


@pytest.mark.parametrize("path", ["/login", "/register"])
@pytest.mark.parametrize("field", ["name", "password", "email", "invitation", "next"])
def test_a_form_in_an_odd_encoding_is_refused_as_any_other(
    browser: TestClient, space: Workspace, path: str, field: str
) -> None:
    given = {"name": "ada-of-forms", "password": PASSWORD, field: r"\ud800 \x00"}
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in given.items()
    )
    kind = "multipart/form-data; charset=unicode_escape; boundary=b"
    answer = browser.post(path, content=f"{body}--b--\r\n", headers={"Content-Type": kind})
    assert 400 <= answer.status_code < 500, answer.text


def test_whoever_opens_the_address_of_the_api_is_led_to_the_dashboard(
    client: TestClient, space: Workspace
) -> None:
    answer = client.get("/", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == space.settings.dashboard_url
