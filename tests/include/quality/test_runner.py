"""The checks as ingest calls them, with Great Expectations itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from include.quality import QualityReport, check
from include.settings import PROJECT_ROOT

GOOD: dict[str, dict[str, float]] = {
    "parsed": {
        "parsed_share": 0.9998,
        "events_without_time": 0,
        "events_without_message": 0,
        "events_in_the_future": 0,
        "severity_shift": 0.01,
        "volume_ratio": 1.2,
    },
    "events": {
        "events_missing": 0,
        "events_without_template": 0,
        "events_without_parameters": 0,
    },
}


def row(layer: str, object_id: str, **other: Any) -> dict[str, Any]:
    return {"object_id": object_id, **GOOD[layer], **other}


@pytest.fixture(scope="module")
def half_a_log() -> QualityReport:
    """A good object beside one of which hardly a line parses."""
    return check(
        "parsed", [row("parsed", "good"), row("parsed", "bad", parsed_share=0.02, volume_ratio=30)]
    )


@pytest.mark.parametrize("layer", GOOD)
def test_good_objects_pass(layer: str) -> None:
    report = check(layer, [row(layer, "one"), row(layer, "two")])
    assert report.refused == {}
    assert {(result.object_id, result.passed) for result in report.results} == {
        ("one", True),
        ("two", True),
    }
    assert len(report.results) == 2 * len(GOOD[layer])


@pytest.mark.parametrize(
    ("layer", "column", "value", "expectation", "told"),
    [
        ("parsed", "parsed_share", 0.49, "share_of_lines_parsed", "49.0% of the lines parse"),
        ("parsed", "events_without_time", 3, "times_not_null", "3 events have no time"),
        ("parsed", "events_without_message", 1, "messages_not_null", "1 events have no message"),
        ("parsed", "events_in_the_future", 8, "times_plausible", "8 events are over a day younger"),
        ("events", "events_missing", 5, "all_events_written", "5 events too few or too many"),
        ("events", "events_without_template", 2, "templates_not_null", "2 events have no template"),
        ("events", "events_without_parameters", 2, "parameters_not_null", "no list of parameters"),
    ],
)
def test_a_useless_object_is_refused_for_its_reason_and_the_others_are_not(
    layer: str, column: str, value: float, expectation: str, told: str
) -> None:
    report = check(layer, [row(layer, "good"), row(layer, "bad", **{column: value})])
    failed = [result for result in report.results if not result.passed]
    assert [(result.object_id, result.expectation) for result in failed] == [("bad", expectation)]
    assert list(report.refused) == ["bad"]
    assert told in report.refused["bad"]


@pytest.mark.parametrize(
    ("column", "value", "expectation", "told"),
    [
        ("severity_shift", 0.4, "shares_of_severities_usual", "by 40.0%, expected at most 20%"),
        ("volume_ratio", 25, "volume_usual", "25 times its usual events, expected 0.1 to 10"),
        ("volume_ratio", 0.02, "volume_usual", "0.02 times its usual events"),
    ],
)
def test_an_unusual_object_is_told_but_not_refused(
    column: str, value: float, expectation: str, told: str
) -> None:
    report = check("parsed", [row("parsed", "odd", **{column: value})])
    (failed,) = [result for result in report.results if not result.passed]
    assert (failed.expectation, failed.severity) == (expectation, "warning")
    assert told in failed.reason
    assert report.refused == {}


def test_all_reasons_of_a_refused_object_are_told() -> None:
    report = check("parsed", [row("parsed", "bad", parsed_share=0, events_in_the_future=4)])
    assert report.refused["bad"].count(", expected ") == 2


@pytest.mark.parametrize("value", [None, float("nan"), "1"])
def test_a_missing_value_is_an_error_and_not_a_pass(value: object) -> None:
    with pytest.raises(ValueError, match=r"object bad: volume_ratio .* needs a number"):
        check("parsed", [row("parsed", "bad", volume_ratio=value)])


def test_the_pages_show_what_failed(half_a_log: QualityReport) -> None:
    assert "index.html" in half_a_log.pages
    (address,) = [path for path in half_a_log.pages if path.startswith("validations/")]
    page = half_a_log.pages[address].decode()
    assert "parsed_share" in page
    assert "Failed" in page
    assert "0.02" in page
    assert address in half_a_log.pages["index.html"].decode()


def test_a_second_run_replaces_the_pages_of_the_first(half_a_log: QualityReport) -> None:
    again = check("parsed", [row("parsed", "good")])
    assert again.pages.keys() == half_a_log.pages.keys()


def test_the_pages_are_small_and_tell_nobody_that_they_are_read(half_a_log: QualityReport) -> None:
    assert sum(map(len, half_a_log.pages.values())) < 200_000
    assert b"great-expectations-web-assets" not in b"".join(half_a_log.pages.values())


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )


def test_importing_the_package_stays_light() -> None:
    heavy = {"great_expectations", "pandas", "polars", "numpy"}
    program = f"import sys, include.quality; print({heavy} & sys.modules.keys())"
    assert run(program).stdout.strip() == "set()"


def test_a_check_is_silent() -> None:
    program = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "from include.quality import check\n"
        f"check('events', [{row('events', 'one')!r}])"
    )
    done = run(program)
    assert (done.stdout, done.stderr) == ("", "")
