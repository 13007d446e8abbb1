"""Templates and lines over the API, of a log that was ingested: what people read is masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.sources import load_sources
from include.workspace import Workspace
from services.api.app import create_app
from tests.nights import DAY, MONDAY, anomaly, forget, new_source, scored
from tests.services.api.conftest import Login
from tests.services.api.test_anomalies import listed, pages

Ingest = Callable[[Workspace, str], int]


def log(day: int, words: list[str]) -> bytes:
    """A line for each word, ten minutes apart, and the stack of an error."""
    lines = []
    for number, word in enumerate(words):
        at = MONDAY + day * DAY + number * timedelta(minutes=10)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S},000 INFO app.Store: {word} by u{number}@example.org")
        if word == "failed":
            lines.append("java.io.IOException: <script>alert(1)</script>")
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture
def source(space: Workspace, ingest: Ingest) -> Iterator[str]:
    """Two days: `opened` six times and `closed` once, then `opened` once and `failed` once."""
    name = new_source()
    folder = Path(space.settings.sources_path)
    (folder / f"{name}.yaml").write_text(
        f"name: {name}\nformat: log4j\nredact: [email]\n"
        "windowing: {kind: time, size: 1h, step: 1h}\n"
    )
    space.sources.update(load_sources([folder]))
    days = [["opened"] * 6 + ["closed"], ["opened", "failed"]]
    for day, words in enumerate(days):
        space.store.put_bytes(space.settings.bucket_logs, f"{name}/{day}.log", log(day, words))
    ingest(space, name)
    yield name
    del space.sources[name]
    forget(space, name)


@pytest.fixture
def reader(login: Login) -> TestClient:
    return login("viewer")


def texts(reader: TestClient, **asked: object) -> list[str]:
    found = (row for page in pages(reader, "/v1/templates", **asked) for row in page)
    return [row["text"].split()[0] for row in found]


def template_of(reader: TestClient, source: str, word: str) -> str:
    [row] = reader.get("/v1/templates", params={"source": source, "q": word}).json()["items"]
    return str(row["template_id"])


def test_templates_are_listed_counted_and_searched(reader: TestClient, source: str) -> None:
    assert texts(reader, source=source)[0] == "opened"
    assert sorted(texts(reader, source=source, limit=1)) == ["closed", "failed", "opened"]
    assert texts(reader, source=source, sort="first_seen") == ["failed", "closed", "opened"]
    assert texts(reader, source=source, sort="first_seen", limit=2) == [
        "failed",
        "closed",
        "opened",
    ]
    assert texts(reader, source=source, new_since=MONDAY + DAY) == ["failed"]
    assert texts(reader, source=source, q="CLOSED") == ["closed"]
    assert texts(reader, source=source, q="c%d") == []


def test_one_is_told_with_its_days_and_changes(
    reader: TestClient, space: Workspace, source: str
) -> None:
    template_id = template_of(reader, source, "opened")
    told = reader.get(f"/v1/templates/{template_id}")
    assert told.json()["count"] == 7
    assert told.json()["first_seen_utc"] == "2026-03-02T00:00:00Z"
    path = f"/v1/templates/{template_id}"
    etag = told.headers["etag"]
    assert reader.get(path, headers={"If-None-Match": etag}).status_code == 304
    history = reader.get(f"{path}/history").json()
    assert history["days"] == [
        {"day": "2026-03-02", "events": 6},
        {"day": "2026-03-03", "events": 1},
    ]
    assert [(each["kind"], each["changed_by"]) for each in history["changes"]] == [
        ("created", "ingest")
    ]


def test_one_that_was_merged_leads_to_what_it_was_merged_into(
    reader: TestClient, space: Workspace, source: str
) -> None:
    closed, opened = (template_of(reader, source, word) for word in ("closed", "opened"))
    with space.engine.begin() as conn:
        merged = (
            "UPDATE loganalyzer.template_catalogue SET replaced_by = :to WHERE template_id = :id"
        )
        conn.execute(sa.text(merged), {"id": closed, "to": opened})
    told = reader.get(f"/v1/templates/{closed}").json()
    assert (told["template_id"], told["count"]) == (opened, 8)


def test_an_example_stands_among_its_neighbours_and_is_masked(
    reader: TestClient, source: str
) -> None:
    template_id = template_of(reader, source, "failed")
    told = reader.get(f"/v1/templates/{template_id}/example", params={"context": 1}).json()
    assert told["object_key"] == f"{source}/1.log"
    assert [line["line_number"] for line in told["lines"]] == [1, 2, 3]
    before, shown, after = told["lines"]
    assert [line["is_odd"] for line in told["lines"]] == [False, True, False]
    assert shown["text"].endswith("failed by [email]")
    assert (shown["template_id"], after["template_id"]) == (template_id, None)
    assert before["template"].startswith("opened")
    assert after["text"] == "java.io.IOException: <script>alert(1)</script>"
    assert "example.org" not in str(told)


@pytest.mark.parametrize("path", ["", "/history", "/example"])
def test_an_unknown_one_is_not_found(reader: TestClient, path: str) -> None:
    answer = reader.get(f"/v1/templates/no-such{path}")
    assert answer.status_code == 404
    assert "GET /v1/templates" in answer.json()["detail"]


def test_the_lines_of_an_anomaly_and_of_its_incident_are_marked(
    reader: TestClient, space: Workspace, source: str
) -> None:
    address = {"object_key": f"{source}/0.log", "line_number": 7}
    odd = replace(anomaly(MONDAY + timedelta(hours=1), "w1"), lines=[address])
    silent = replace(anomaly(MONDAY + timedelta(hours=9), "w2"), detector="rate")
    with scored(space, source, [[odd, silent]]):
        rows = {row["window_id"]: row for row in listed(reader, source=source)}
        [passage] = reader.get(
            f"/v1/anomalies/{rows['w1']['id']}/lines", params={"context": 2}
        ).json()["items"]
        none = reader.get(f"/v1/anomalies/{rows['w2']['id']}/lines").json()["items"]
        path = f"/v1/incidents/{rows['w1']['incident_id']}/lines"
        of_incident = reader.get(path, params={"context": 2}).json()["items"]
    assert [(line["line_number"], line["is_odd"]) for line in passage["lines"]] == [
        (5, False),
        (6, False),
        (7, True),
    ]
    assert passage["lines"][2]["template"].startswith("closed")
    assert passage["lines"][2]["text"].endswith("closed by [email]")
    assert none == []
    assert of_incident == [passage]


def test_lines_of_a_source_without_a_file_are_not_shown(
    space: Workspace, login: Login, source: str
) -> None:
    """Nobody knows what to mask in them."""
    (Path(space.settings.sources_path) / f"{source}.yaml").unlink()
    odd = replace(anomaly(MONDAY), lines=[{"object_key": f"{source}/0.log", "line_number": 1}])
    stranger = TestClient(create_app(replace(space, sources={})), headers=login().headers)
    with scored(space, source, [[odd]]):
        [row] = listed(stranger, source=source)
        answer = stranger.get(f"/v1/anomalies/{row['id']}/lines")
    assert answer.status_code == 409
    assert "mask" in answer.json()["detail"]
