"""The API as the dashboard asks it: who asks, from where, and how failures are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from services.dashboard.client import AGENT, Api, ApiError, together


@contextmanager
def answering(status: int, body: bytes, seen: list[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server that answers everything with the same; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def api(address: str, is_signed_in: bool = True) -> Api:
    http = httpx.Client(base_url=address, headers={"User-Agent": AGENT}, timeout=5)
    return Api(http, "s3cret" if is_signed_in else None, "192.0.2.7")


def test_each_call_says_who_asks_and_from_where() -> None:
    seen: list[BaseHTTPRequestHandler] = []
    with answering(200, b"{}", seen) as address:
        assert api(address).get("/v1/incidents", source="storage", q="", state=None) == {}
        api(address, is_signed_in=False).get("/v1/incidents")
    first, second = seen
    assert first.path == "/v1/incidents?source=storage"
    assert first.headers["Authorization"] == "Bearer s3cret"
    assert first.headers["X-Forwarded-For"] == "192.0.2.7"
    assert first.headers["User-Agent"] == AGENT
    assert "Authorization" not in second.headers


def test_a_problem_tells_what_the_api_says() -> None:
    body = b'{"status": 404, "detail": "no incident \'x\'", "request_id": "r1"}'
    with answering(404, body, []) as address, pytest.raises(ApiError) as told:
        api(address).get("/v1/incidents/x")
    error = told.value
    assert (error.status, error.detail, error.request_id) == (404, "no incident 'x'", "r1")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"\xff"])
def test_an_error_of_something_on_the_way_is_one_too(body: bytes) -> None:
    with answering(502, body, []) as address, pytest.raises(ApiError) as told:
        api(address).get("/v1/incidents")
    assert told.value.status == 502


def test_an_api_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(ApiError, match="does not answer") as told:
        api("http://127.0.0.1:1").get("/v1/me")
    assert told.value.status == 0


def test_questions_asked_together_are_answered_by_name_and_their_errors_come_through() -> None:
    assert together(a=lambda: 1, b=lambda: 2) == {"a": 1, "b": 2}
    with pytest.raises(ApiError), answering(500, b"", []) as address:
        together(a=lambda: 1, b=lambda: api(address).get("/v1/me"))
