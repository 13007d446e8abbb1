"""The record of actions, as admins see it."""

from __future__ import annotations

import csv
import json
from uuid import uuid4

import pytest

from include.database import audit
from include.database.audit import Actor
from include.workspace import Workspace
from tests.services.api.conftest import Login

FORMULAS = ["=1+1", "+1", "-1", "@x", "\tx", "\rx"]


@pytest.fixture
def subject(space: Workspace) -> str:
    """A subject that is in the record with each of FORMULAS as its actor, one by one."""
    named = uuid4().hex
    with space.engine.begin() as conn:
        for formula in FORMULAS:
            who = Actor(formula, "cli", address="10.0.0.1")
            audit.record(conn, who, "feedback.give", named, None, {"reason": 'Ж, "x"\n=1'})
    return named


def test_actions_come_in_pages_from_the_newest_on(login: Login, subject: str) -> None:
    admin = login("admin")
    asked = {"subject": subject, "limit": 4}
    first = admin.get("/v1/audit", params=asked).json()
    then = admin.get("/v1/audit", params=asked | {"cursor": first["next_cursor"]}).json()
    assert [each["actor"] for each in first["items"] + then["items"]] == FORMULAS[::-1]
    assert then["next_cursor"] is None
    assert first["items"][0]["after"] == {"reason": 'Ж, "x"\n=1'}


def test_actions_are_found_by_who_what_and_when(login: Login, subject: str) -> None:
    admin = login("admin")
    for asked, found in (
        ({"actor": "=1+1"}, 1),
        ({"actor": "=1+1", "action": "session.login"}, 0),
        ({"from": "2000-01-01T00:00:00Z"}, 6),
        ({"to": "2000-01-01T00:00:00Z"}, 0),
    ):
        items = admin.get("/v1/audit", params={"subject": subject} | asked).json()["items"]
        assert len(items) == found


def test_a_csv_of_them_holds_no_formula(login: Login, subject: str) -> None:
    answer = login("admin").get("/v1/audit/export", params={"subject": subject})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(answer.text.splitlines(keepends=True)))
    assert [row["actor"] for row in rows] == [f"'{each}" for each in reversed(FORMULAS)]
    assert {row["token_id"] for row in rows} == {""}
    assert json.loads(rows[0]["after"]) == {"reason": 'Ж, "x"\n=1'}


def test_lines_of_json_hold_them_as_they_are(login: Login, subject: str) -> None:
    asked = {"subject": subject, "format": "ndjson"}
    answer = login("admin").get("/v1/audit/export", params=asked)
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["actor"] for row in rows] == FORMULAS[::-1]


@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/export"])
def test_only_admins_read_it(login: Login, path: str) -> None:
    assert login("analyst").get(path).status_code == 403
