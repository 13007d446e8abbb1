"""Sign-in with an identity provider: OpenID Connect, the authorization code flow with PKCE.

What belongs to a sign-in until the provider sends somebody back lies in a signed cookie of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from authlib.common.security import generate_token
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from itsdangerous import BadSignature, URLSafeTimedSerializer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from include.settings import Settings

COOKIE = "loganalyzer_oidc"
LASTS_S = 600
TIMEOUT_S = 10
# Signed with a key of the provider: not with one that we have, such as HS256 with our secret.
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
ENDPOINTS = {"authorization_endpoint", "token_endpoint", "jwks_uri"}


class SignInFailed(Exception):
    """Why nobody was signed in, for whoever wanted to be."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whom a provider has signed in. subject: who it is, whatever they are called."""

    subject: str
    called: str
    email: str | None


def begin(settings: Settings, target: str) -> tuple[str, str]:
    """The address at the provider to send somebody to, and their cookie until they come back.
    Raises SignInFailed."""
    found = _discovered(settings)
    kept = {"state": generate_token(32), "nonce": generate_token(32), "target": target}
    verifier = generate_token(64)
    asked = {
        "response_type": "code",
        "client_id": settings.oidc_client_id,
        "redirect_uri": _way_back(settings),
        "scope": "openid profile email",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge": create_s256_code_challenge(verifier),
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in found["authorization_endpoint"] else "?"
    address = f"{found['authorization_endpoint']}{joint}{urlencode(asked)}"
    return address, _signer(settings).dumps(kept | {"verifier": verifier})


def finish(
    settings: Settings, cookie: str | None, answered: Mapping[str, str]
) -> tuple[SignedIn, str]:
    """Whom the provider has signed in, by what it has sent somebody back with, and where they
    wanted to go. Raises SignInFailed."""
    try:
        kept = _signer(settings).loads(cookie or "", max_age=LASTS_S)
    except BadSignature as error:
        raise SignInFailed("this sign-in was not begun here, or too long ago") from error
    if answered.get("state") != kept["state"]:
        raise SignInFailed("this is the answer to another sign-in")
    if "code" not in answered:
        raise SignInFailed("the identity provider has signed nobody in")
    found = _discovered(settings)
    token = _exchanged(settings, found, answered["code"], kept["verifier"])
    claims = _verified(settings, found, token, kept["nonce"])
    email = claims.get("email")
    called = claims.get("preferred_username") or email or claims.get("name") or ""
    subject = f"{settings.oidc_issuer} {claims['sub']}"
    return SignedIn(subject, str(called), email), kept["target"]


def _discovered(settings: Settings) -> dict[str, Any]:
    issuer = settings.oidc_issuer
    found = _json(httpx.Request("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
    if found.get("issuer") != issuer:
        raise SignInFailed(f"the identity provider says that it is {found.get('issuer')!r}")
    if not found.keys() >= ENDPOINTS:
        raise SignInFailed("the identity provider does not say where its endpoints are")
    return found


def _exchanged(settings: Settings, found: dict[str, Any], code: str, verifier: str) -> str:
    """The ID token that the provider gives for a code."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": _way_back(settings),
        "code_verifier": verifier,
    }
    request = httpx.Request("POST", found["token_endpoint"], data=form)
    secret = settings.oidc_client_secret.get_secret_value()
    login = httpx.BasicAuth(settings.oidc_client_id, secret)
    return str(_json(request, login).get("id_token", ""))


def _verified(settings: Settings, found: dict[str, Any], token: str, nonce: str) -> dict[str, Any]:
    """The claims of an ID token that is from the provider, for us, and for this sign-in."""
    keys = _json(httpx.Request("GET", found["jwks_uri"]))
    client = settings.oidc_client_id
    options: dict[str, Any] = {
        "iss": {"value": settings.oidc_issuer},
        "aud": {"value": client},
        "sub": {"essential": True},
    }
    try:
        read = jwt.decode(token, KeySet.import_key_set(keys), ALGORITHMS)
        params = {"nonce": nonce, "client_id": client}
        claims = CodeIDToken(read.claims, read.header, options, params)
        claims.validate(leeway=60)
    except (JoseError, ValueError, KeyError) as error:
        raise SignInFailed(f"the identity provider's token is not good: {error}") from error
    return claims


def _json(request: httpx.Request, login: httpx.Auth | None = None) -> dict[str, Any]:
    told = "the identity provider does not answer as it should"
    try:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            answer = client.send(request, auth=login).raise_for_status()
        document = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise SignInFailed(f"{told}: {error}") from error
    if not isinstance(document, dict):
        raise SignInFailed(told)
    return document


def _way_back(settings: Settings) -> str:
    return f"{settings.api_url.rstrip('/')}/oidc/callback"


def _signer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.oidc_client_secret.get_secret_value(), salt=COOKIE)
