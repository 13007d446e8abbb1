"""Sign-in with an identity provider, against one that speaks the protocol on a port of its own."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey
from pydantic import SecretStr

from include.database import accounts
from include.workspace import Workspace
from services.api.app import create_app
from services.api.oidc import COOKIE
from tests.services.api.test_accounts import entries

CLIENT, SECRET = "loganalyzer", "a secret of a test, long enough to sign with"
KEY, STRANGER = (RSAKey.generate_key(2048, {"kid": "one"}) for _ in range(2))


@dataclass
class Provider:
    """An identity provider that knows one person and asks nothing. claims: what it says otherwise
    of them; signs_with: its key, or another one."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    signs_with: Any = field(default_factory=lambda: KEY)
    algorithm: str = "RS256"
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    subject: str = field(default_factory=lambda: uuid4().hex)

    def answer(self, path: str, given: dict[str, str], login: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
            }
        if path == "/jwks":
            return 200, KeySet([KEY]).as_dict(private=False)
        if path == "/authorize":
            code = uuid4().hex
            self.asked[code] = given
            return (
                302,
                f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}",
            )
        return self.token(given, login)

    def token(self, given: dict[str, str], login: str) -> tuple[int, Any]:
        asked = self.asked.pop(given["code"], None)
        right = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if (
            asked is None
            or login != f"Basic {right}"
            or asked["redirect_uri"] != given["redirect_uri"]
            or asked["code_challenge_method"] != "S256"
            or create_s256_code_challenge(given["code_verifier"]) != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "preferred_username": f"u{self.subject}@example.com",
        } | self.claims
        header = {"alg": self.algorithm, "kid": "one"}
        token = jwt.encode(header, claims, self.signs_with, [self.algorithm])
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}


@pytest.fixture
def provider() -> Iterator[Provider]:
    own = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self.send(*own.answer(parts.path, flat(parts.query), ""))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send(*own.answer(self.path, flat(body), self.headers["Authorization"]))

        def send(self, status: int, said: Any) -> None:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", said)
            self.end_headers()
            if status != 302:
                self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: Any) -> None:
            """Nothing to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    own.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield own
    server.shutdown()
    thread.join()
    server.server_close()


def flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


@pytest.fixture
def browser(space: Workspace, provider: Provider) -> TestClient:
    own = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_client_secret": SecretStr(SECRET),
        "oidc_role": "analyst",
    }
    settings = space.settings.model_copy(update=own)
    app = create_app(replace(space, settings=settings))
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def sent_back(browser: TestClient, then: str = "") -> str:
    """Where the provider sends a browser that has come to sign in, on our side."""
    there = browser.get("/oidc/login", params={"next": then})
    assert there.status_code == 303
    assert "httponly" in there.headers["set-cookie"].lower()
    back = urlsplit(httpx.get(there.headers["location"]).headers["location"])
    return f"{back.path}?{back.query}"


def refused(browser: TestClient, path: str) -> str:
    """What somebody is told who is not signed in by it."""
    answer = browser.get(path)
    assert answer.status_code == 403
    assert browser.get("/v1/me").status_code == 401
    assert 'role="alert"' in answer.text
    assert 'action="../login"' in answer.text
    return answer.text


def test_whom_the_provider_signs_in_gets_an_account_once(
    browser: TestClient, provider: Provider, space: Workspace
) -> None:
    assert "oidc/login" in browser.get("/login").text
    for _ in range(2):
        answer = browser.get(sent_back(browser, "/v1/me"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/v1/me")
        assert COOKIE not in browser.cookies
    me = browser.get("/v1/me").json()
    assert (me["name"], me["role"]) == (f"u{provider.subject}", "analyst")
    subject = f"{provider.issuer} {provider.subject}"
    kept = {"role": "analyst", "oidc_subject": subject}
    assert entries(space, me["name"]) == [(me["name"], "user.register", None, kept)]


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"aud": "another"}, "aud"),
        ({"aud": [CLIENT, "another"]}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"exp": 1}, "expired"),
        ({"sub": ""}, "sub"),
    ],
)
def test_a_token_that_says_something_else_signs_nobody_in(
    browser: TestClient, provider: Provider, says: dict, told: str
) -> None:
    provider.claims = says
    assert told in refused(browser, sent_back(browser))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(STRANGER, "RS256"), (OctKey.import_key(SECRET), "HS256"), (KEY, "none")],
)
def test_a_token_that_the_provider_has_not_signed_signs_nobody_in(
    browser: TestClient, provider: Provider, key: Any, algorithm: str
) -> None:
    provider.signs_with, provider.algorithm = key, algorithm
    assert "token is not good" in refused(browser, sent_back(browser))


def test_the_answer_to_another_sign_in_signs_nobody_in(
    browser: TestClient, provider: Provider
) -> None:
    of_another = sent_back(browser)
    sent_back(browser)
    assert "another sign-in" in refused(browser, of_another)


def test_a_sign_in_that_was_not_begun_here_signs_nobody_in(browser: TestClient) -> None:
    path = sent_back(browser)
    browser.cookies.clear()
    assert "not begun here" in refused(browser, path)
    forged = browser.get("/oidc/login").cookies[COOKIE][::-1]
    browser.cookies.clear()
    browser.cookies.set(COOKIE, forged)
    assert "not begun here" in refused(browser, path)


def test_a_code_is_good_once(browser: TestClient) -> None:
    browser.get("/oidc/login")
    path = sent_back(browser)
    kept = browser.cookies[COOKIE]
    assert browser.get(path).status_code == 303
    browser.cookies.clear()
    browser.cookies.set(COOKIE, kept)
    assert "does not answer as it should" in refused(browser, path)


def test_what_the_provider_refuses_signs_nobody_in(browser: TestClient) -> None:
    state = parse_qs(urlsplit(sent_back(browser)).query)["state"][0]
    path = f"/oidc/callback?{urlencode({'error': 'access_denied', 'state': state})}"
    assert "signed nobody in" in refused(browser, path)


def test_who_was_stopped_here_is_not_signed_in(
    browser: TestClient, provider: Provider, space: Workspace
) -> None:
    browser.get(sent_back(browser))
    with space.engine.begin() as conn:
        accounts.change_user(conn, f"u{provider.subject}", is_active=False)
    assert "stopped" in refused(browser, sent_back(browser))


def test_a_provider_that_does_not_answer_is_told(browser: TestClient, provider: Provider) -> None:
    provider.issuer += "/elsewhere"
    answer = browser.get("/oidc/login")
    assert answer.status_code == 502
    assert 'role="alert"' in answer.text


def test_without_a_provider_there_is_no_way_to_one(client: TestClient) -> None:
    assert client.get("/oidc/login").status_code == 404
    assert client.get("/oidc/callback").status_code == 404
    assert "oidc" not in client.get("/login").text
