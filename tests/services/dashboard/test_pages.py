"""Pages as different people see them, over the real API; what a browser does is tested in one."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from include.workspace import Workspace
from tests.services.dashboard.conftest import Show, ask_at

PAGES = (
    "tonight", "incident", "sources", "template", "add-source", "models", "run", "try-it",
    "account", "admin", "audit",
)  # fmt: skip
FOR_ADMINS = {"admin", "audit"}


def text_of(app: AppTest) -> str:
    """Everything that a page says."""
    kinds = (app.title, app.subheader, app.markdown, app.info, app.error, app.success, app.warning)
    html = [each.value for each in app.get("html")]
    return "\n".join([*(each.value for kind in kinds for each in kind), *html])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_nothing_to_show_says_what_to_do(show: Show, page: str) -> None:
    app = show(page)
    assert not app.exception
    assert all("airflow is not well" in each.value for each in app.error)  # it does not run here
    assert app.title or app.info


@pytest.mark.parametrize("page", ["tonight", "sources"])
def test_who_has_not_logged_in_is_shown_the_way_to_the_login_and_back(
    show: Show, served: str, page: str
) -> None:
    app = show(page, None, source="storage", night="2026-03-02&x=1")
    assert not app.exception
    assert [each.value for each in app.title] == ["LogAnalyzer"]
    (link,) = [each.value for each in app.get("html") if "login?next" in each.value]
    address = link.split('"')[3].replace("&amp;", "&")
    assert address.startswith(f"{served}/login?")
    (back,) = parse_qs(urlsplit(address).query)["next"]
    assert parse_qs(urlsplit(back).query) == {"source": ["storage"], "night": ["2026-03-02&x=1"]}


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("analyst", False), ("admin", True)])
def test_only_admins_are_shown_users_and_the_audit_log(show: Show, role: str, sees: bool) -> None:
    app = show("tonight", role)
    assert FOR_ADMINS.issubset(app.session_state["pages"]) is sees
    assert f", {role}" in text_of(app)


def test_an_incident_that_is_not_there_is_told_with_what_to_do(show: Show) -> None:
    app = show("incident", id="nothing")
    assert not app.exception
    (error,) = app.error
    assert "no incident" in error.value.replace("\\", "")


def test_an_api_that_does_not_answer_is_told(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show("tonight")
    ask_at("http://127.0.0.1:1", monkeypatch)
    app.run()
    assert not app.exception
    assert "does not answer" in app.error[0].value


def test_a_token_is_shown_once_and_can_be_revoked(show: Show) -> None:
    app = show("account", "viewer")
    [box] = [each for each in app.text_input if each.label == "What the token is for"]
    box.input("nightly report")
    [button] = [each for each in app.button if each.label == "Make a token"]
    button.click().run()
    (secret,) = [each.value for each in app.code]
    assert secret.startswith("la")
    app.run()
    assert not app.code
    assert "nightly report" in text_of(app)
    [button] = [each for each in app.button if each.label == "Revoke"]
    button.click().run()
    assert "nightly report" not in text_of(app)
    assert "is revoked" in app.success[0].value


def test_what_an_admin_changes_is_on_record_as_done_on_the_dashboard(
    show: Show, space: Workspace
) -> None:
    app = show("admin")
    name = "of-the-dashboard"
    wanted = {"Name": name, "First password": "correct horse battery"}
    for box in app.text_input:
        if box.label in wanted:
            box.input(wanted[box.label])
    [button] = [each for each in app.button if each.label == "Make the user"]
    button.click().run()
    assert not app.exception
    assert not app.error
    query = "SELECT origin, after FROM loganalyzer.audit_log WHERE subject = :name"
    with space.engine.connect() as conn:
        origin, after = conn.execute(sa.text(query), {"name": name}).one()
    assert (origin, after["role"]) == ("dashboard", "viewer")


def test_lines_that_are_pasted_are_judged_and_shown_as_text(show: Show) -> None:
    app = show("try-it", "viewer")
    attack = "<script>alert(1)</script>"
    usual = [
        f"2026-03-02 {n // 60:02}:{n % 60:02}:00,000 INFO a.B: req={n % 40:08x} all is well"
        for n in range(240)
    ]
    odd = f"2026-03-02 05:00:00,000 ERROR a.B: req=ffff0000 {attack}"
    app.text_area[0].input("\n".join([*usual, odd]))
    [button] = [each for each in app.button if each.label == "Judge these lines"]
    button.click().run()
    assert not app.exception
    assert not app.error
    told = text_of(app)
    assert "&lt;script&gt;" in told
    assert attack not in told


def form_page(params: str) -> None:
    """A form made of parameters; what it holds goes into the state of the session."""
    import json

    import streamlit as st

    from services.dashboard import forms

    st.session_state["holds"] = forms.fields(json.loads(params), ["app", "storage"])


def test_a_form_that_nobody_changes_holds_the_defaults() -> None:
    schemas = {
        "source": (None, {"type": ["null", "string"]}),
        "families": (["novelty"], {"type": "array", "items": {"enum": ["novelty", "lstm"]}}),
        "trials": (10, {"type": "integer", "minimum": 1, "maximum": 1000}),
        "alerts_per_day": (None, {"type": ["null", "number"], "exclusiveMinimum": 0}),
        "period_start": (None, {"type": ["null", "string"], "format": "date-time"}),
        "policy": ("approve", {"type": "string", "enum": ["auto", "approve", "never"]}),
        "note": (None, {"type": ["null", "string"], "maxLength": 2000}),
        "roll_back": (False, {"type": "boolean"}),
    }
    params = {
        name: {"value": value, "description": None, "schema": schema}
        for name, (value, schema) in schemas.items()
    }
    app = AppTest.from_function(form_page, kwargs={"params": json.dumps(params)}).run()
    assert not app.exception
    assert app.session_state["holds"] == {name: value for name, (value, _) in schemas.items()}
