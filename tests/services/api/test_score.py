"""Lines judged on the spot."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient

from services.api.routes import score
from tests.services.api.conftest import Login

TEXT = {"Content-Type": "text/plain"}
LINES = [
    f"2026-03-02 10:{n // 60:02}:{n % 60:02} INFO app: req_{n // 4:05x} step {n % 4}"
    for n in range(400)
]
ODD = "2026-03-02 11:00:00 ERROR app: req_fffff <img src=x onerror=alert(1)> \x00 \x1b[2J"


@pytest.fixture
def viewer(login: Login) -> TestClient:
    return login()


def test_text_and_json_are_judged_alike(viewer: TestClient) -> None:
    lines = [*LINES, ODD]
    as_text = viewer.post("/v1/score", content="\n".join(lines).encode(), headers=TEXT)
    as_json = viewer.post("/v1/score", json={"lines": lines})
    assert as_text.status_code == as_json.status_code == 200
    assert as_text.json() == as_json.json()
    answer = as_text.json()
    assert (answer["lines"], answer["model"], answer["anomalies"]) == (401, None, 1)
    assert answer["found"][0]["session_key"] == "req_fffff"
    text = answer["found"][0]["lines"][0]["text"]
    assert text == "req_fffff <img src=x onerror=alert(1)> ␀ \x1b[2J"
    assert {each["is_new"] for each in answer["most_frequent"]} == {True}


def test_a_stream_gives_a_line_for_each_anomaly_and_a_summary(viewer: TestClient) -> None:
    body = "\n".join([*LINES, ODD]).encode()
    answer = viewer.post("/v1/score/stream", content=body, headers=TEXT)
    assert answer.headers["content-type"] == "application/x-ndjson"
    *found, summary = map(json.loads, answer.text.splitlines())
    assert [each["kind"] for each in found] == ["anomaly"]
    assert (summary["kind"], summary["events"], summary["anomalies"]) == ("summary", 401, 1)


def test_a_stream_that_fails_says_so_in_its_last_line(
    viewer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.posted.EVENTS_AT_ONCE", 100)
    body = "\n".join(LINES).encode()
    answer = viewer.post("/v1/score/stream", content=body, headers=TEXT)
    told = json.loads(answer.text)
    assert told["kind"] == "error"
    assert told["detail"].startswith("400 events and no champion")


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/stream"])
@pytest.mark.parametrize(
    ("query", "body", "kind", "status", "told"),
    [
        ("", b"", "text/plain", 422, "no lines"),
        ("", b" \n \n", "text/plain", 422, "no lines"),
        ("", b"gibberish\n" * 20, "text/plain", 422, "no known format"),
        ("?source=nobodys", b"x", "text/plain", 404, "`GET /v1/sources` lists them"),
        ("", b"\x1f\x8b\x08\x00", "text/plain", 422, "compressed"),
        ("", b"x", "application/xml", 415, "text/plain"),
    ],
)
def test_what_is_refused(
    viewer: TestClient, path: str, query: str, body: bytes, kind: str, status: int, told: str
) -> None:
    answer = viewer.post(f"{path}{query}", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, told in answer.json()["detail"]) == (status, True)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"lines": []}', b'{"lines": ["\\ud800"]}', b'{"lines": [1]}', b"[" * 100_000],
)
def test_json_that_does_not_fit_is_refused(viewer: TestClient, body: bytes) -> None:
    answer = viewer.post("/v1/score", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_too_much_is_refused_with_what_to_do(
    viewer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = viewer.post("/v1/score", content=b"x" * (score.MOST_BYTES + 1), headers=TEXT)
    many = viewer.post("/v1/score", content=b"x\n" * (score.MOST_LINES + 1), headers=TEXT)
    monkeypatch.setattr(score, "MOST_BYTES_STREAMED", 1000)
    streamed = viewer.post("/v1/score/stream", content=b"x" * 1001, headers=TEXT)
    assert [each.status_code for each in (long, many, streamed)] == [413] * 3
    assert "/v1/score/stream" in long.json()["detail"]
    assert "/v1/score/stream" in many.json()["detail"]
    assert "in parts" in streamed.json()["detail"]


def test_nobody_is_judged_for_without_a_login(client: TestClient) -> None:
    for path in ("/v1/score", "/v1/score/stream"):
        assert client.post(path, content=b"x", headers=TEXT).status_code == 401
