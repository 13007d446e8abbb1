"""A sample of an unknown log: what is proposed for it, live."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.api.routes import samples
from tests.services.api.conftest import Login

TEXT = {"Content-Type": "text/plain"}
LINES = [
    f"2026-03-02 10:{n // 60:02}:{n % 60:02} INFO app: req_{n // 4:05x} step {n % 4}"
    for n in range(400)
]
TRACE = [
    "2026-03-02 10:30:00 ERROR app: req_00001 <b>broke</b>",
    "Traceback (most recent call last):",
    '  File "app.py", line 7',
    "ValueError: \x1b[2J",
    "and this is none",
]
SAMPLE = "\n".join(LINES + TRACE).encode()
EDITED = """\
name: mine
format: python
windowing:
  kind: time
  size: {size}
  step: 5m
"""


@pytest.fixture
def viewer(login: Login) -> TestClient:
    return login()


def sent(caller: TestClient, source: str | None = None, query: str = "") -> Any:
    data = {} if source is None else {"source": source}
    return caller.post(f"/v1/samples{query}", files={"file": ("My App.log", SAMPLE)}, data=data)


def test_a_source_is_proposed_and_shown_at_work(viewer: TestClient) -> None:
    answer = sent(viewer)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["name"], found["format"]) == ("my_app", "log4j")
    assert found["windowing"]["kind"] == "session"
    assert (found["lines"], found["events"], found["lines_continued"]) == (405, 401, 3)
    assert found["share_parsed"] == pytest.approx(404 / 405)
    assert found["multi_line"].startswith("3 of 405 lines continue a record")
    assert [each["text"] for each in found["quarantined"]] == ["and this is none"]
    assert len(found["first_events"]) == 20
    assert found["first_events"][0]["session_key"] == "req_00000"
    assert found["most_frequent"][0]["text"] == "<*> step <*>"
    assert sum(each["count"] for each in found["most_frequent"]) == 401
    by_text = viewer.post("/v1/samples?name=my_app", content=SAMPLE, headers=TEXT)
    assert by_text.json() == found


def test_the_proposal_can_be_sent_again_as_it_is_or_edited(viewer: TestClient) -> None:
    proposed = sent(viewer).json()
    assert sent(viewer, proposed["source"]).json() == proposed
    edited = sent(viewer, EDITED.format(size="10m")).json()
    assert (edited["name"], edited["windowing"]["size"]) == ("mine", "10m")
    assert edited["first_events"][0]["session_key"] is None
    assert sent(viewer, query="?format=python&name=other").json()["format"] == "python"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (EDITED.format(size="5 minutes"), "source: line 5: windowing.time.size: "),
        (EDITED.format(size="9999999999d"), "line 5: windowing.time.size: "),
        (EDITED.format(size="5m") + "masks: ['ok',\n  '(']\n", "line 7: masks: "),
        (EDITED.format(size="5m") + "zone: UTC\n", "line 7: zone: Extra inputs"),
        (EDITED.format(size="5m") + f"time_zone: {'a' * 5000}\n", "time_zone: "),
        (EDITED.format(size="5m") + "time_zone: Europe\n", "time_zone: "),
        ("name: app\n", "line 1: format: Field required"),
        ("name: [", "not valid YAML: .*line 1"),
        ("name: 2024-99-99", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("name: a\0b", "not valid YAML"),
        (EDITED.format(size="5m") + f"masks: ['{'(' * 5000}']\n", "line 7: masks: "),
        (EDITED.format(size="5m") + "masks: ['\\w{9999}']\n", "cannot be used"),
        (EDITED.format(size="5m") + "masks: ['a*']\n", "matches an empty text"),
        (
            EDITED.format(size="5m") + "redact: [secret, {name: q, pattern: '('}]\n",
            r"line 7: redact\.4\.pattern: ",
        ),
        (
            EDITED.format(size="5m") + "redact: [{name: q, pattern: '(?:[a-z]{0,400}x){200}'}]\n",
            "repeat too much",
        ),
        (f"name: [{'1,' * 3000}]\nmasks: [{'1,' * 3000}]\n", r"line 2: masks\.2999: "),
        (
            "a: &a {k: v, l: w}\n"
            + "".join(
                f"{here}: &{here} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n"
                for before, here in pairwise("abcdefghijkl")
            ),
            "aliases",
        ),
        (
            "name: x\nformat: {pattern: '^(?P<time>x)(?P<message>.*)$', time: x, kind: cri}\n"
            "windowing: {kind: time, size: 5m, step: 5m}\n",
            "line 2: format.*needs the groups: stream, tag",
        ),
    ],
)
def test_what_is_wrong_with_an_edited_source_is_said_with_its_line(
    viewer: TestClient, source: str, told: str
) -> None:
    answer = sent(viewer, source)
    assert answer.status_code == 422, answer.text
    assert re.search(told, answer.json()["detail"], re.DOTALL), answer.json()["detail"]


def test_json_lines_that_are_no_objects_are_quarantined(viewer: TestClient) -> None:
    source = (
        "name: x\nformat: {pattern: '^(?P<message>.*(?P<time>.))$', time: iso8601, kind: json}\n"
        "windowing: {kind: time, size: 5m, step: 5m}\n"
    )
    lines = ["[1]", "7", json.dumps({"time": "2026-03-02T10:00:00Z", "msg": "well"})]
    answer = viewer.post(
        "/v1/samples", files={"file": "\n".join(lines).encode()}, data={"source": source}
    )
    assert (answer.json()["events"], answer.json()["lines_quarantined"]) == (1, 2)


def test_what_is_refused(viewer: TestClient) -> None:
    def status(**request: Any) -> int:
        return viewer.post("/v1/samples", **request).status_code

    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert status(content=b"", headers=TEXT) == 422
    assert status(content=b"gibberish\n" * 20, headers=TEXT) == 422
    assert status(content=b"\x1f\x8b\x08\x00", headers=TEXT) == 422
    assert status(content=b"x" * (samples.MOST_BYTES + 1), headers=TEXT) == 413
    assert status(content=b"x", headers={"Content-Type": "image/png"}) == 415
    assert status(content=b"x", headers={"Content-Type": "multipart/form-data"}) == 422
    assert status(content=b"x", headers=form) == 422
    assert status(data={"source": "x"}, files={"other": b"x"}) == 422
    assert status(files={"file": b"x", "source": b"x"}) == 422
    assert status(files={"file": SAMPLE}, data={"source": "x" * 20_001}) == 422
    assert status(files={"file": b""}) == 422
    assert sent(viewer, query="?format=perl").status_code == 422
    assert sent(viewer, query="?name=Not+So").status_code == 422
    assert sent(viewer, EDITED.format(size="5m"), "?name=x").status_code == 422
