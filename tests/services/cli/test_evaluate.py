"""The command `loganalyzer evaluate`, as people call it, without a stack."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import app

START = datetime(2026, 3, 2, tzinfo=UTC)
SOURCE = """
name: app
format: python
windowing: {kind: session, key: 'req=(\\d+)', idle_timeout: 30m, longest_span: 6h}
"""
SESSIONS = 120
ODD = {90, 100}


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


def figures(*words: object) -> dict[str, object]:
    told = run(*words, "--json", "--families", "novelty")
    assert told.exit_code == 0, told.output
    document: dict[str, object] = json.loads(told.stdout)
    return document


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Sessions of three lines, a minute apart; two late ones fail."""
    lines = []
    for number in range(SESSIONS):
        at = f"{START + timedelta(minutes=number):%Y-%m-%d %H:%M:%S},000 app"
        what = "ERROR - disk lost" if number in ODD else "INFO - stored"
        for level_and_text in ("INFO - began", what, "INFO - done"):
            lines.append(f"{at} - {level_and_text} req={number}\n")
    (tmp_path / "app.log").write_text("".join(lines))
    (tmp_path / "app.yaml").write_text(SOURCE)
    rows = "".join(f"{number},anomalous\n" for number in sorted(ODD))
    (tmp_path / "labels.csv").write_text(f"session_key,label\n{rows}")
    return tmp_path


def test_labels_by_session_key(logs: Path) -> None:
    found = figures(
        logs / "app.log", "--source", logs / "app.yaml", "--labels", logs / "labels.csv",
        "--train-fraction", "0.5", "--train-fraction", "0.7",
    )  # fmt: skip
    assert found["setting"] == "normal"
    over_origins: dict[str, dict[str, object]] = found["over_origins"]  # type: ignore[assignment]
    assert over_origins["novelty"]["f1"] == {"median": 1.0, "least": 1.0, "most": 1.0}
    for origin in found["origins"]:  # type: ignore[attr-defined]
        assert origin["families"]["novelty"]["over_all"]["f1"] == 1.0
        assert not origin["leaks"]["is_leaking"]
        assert origin["leaks"]["templates_new"] == 1


def test_a_budget_of_alerts_gives_the_threshold(logs: Path) -> None:
    words = (logs / "app.log", "--source", logs / "app.yaml", "--labels", logs / "labels.csv")
    (origin,) = figures(*words, "--alerts-per-day", 1)["origins"]  # type: ignore[misc]
    # Sessions begin once a minute.
    assert origin["families"]["novelty"]["threshold"] == pytest.approx(3.16, abs=0.01)


def test_a_number_out_of_range_is_found(logs: Path) -> None:
    text = (logs / "app.log").read_text()
    for number in range(SESSIONS):
        took = 9312 if number in ODD else 20 + 7 * number % 13
        what = "ERROR - disk lost" if number in ODD else "INFO - stored"
        text = text.replace(
            f"{what} req={number}\n", f"INFO - stored after {took} ms req={number}\n"
        )
    (logs / "app.log").write_text(text)
    words = (logs / "app.log", "--source", logs / "app.yaml", "--labels", logs / "labels.csv")
    (origin,) = figures(*words)["origins"]  # type: ignore[misc]
    assert origin["leaks"]["templates_new"] == 0
    assert origin["families"]["novelty"]["over_all"]["f1"] == 1.0


def test_labels_by_line_number(logs: Path) -> None:
    rows = "".join(f"app.log,{3 * number + 2},anomalous\n" for number in sorted(ODD))
    (logs / "lines.csv").write_text(f"file,line_number,label\nold.log,1,1\napp.log,1,0\n{rows}")
    words = (logs / "app.log", "--source", logs / "app.yaml", "--labels", logs / "lines.csv")
    (origin,) = figures(*words)["origins"]  # type: ignore[misc]
    found = origin["families"]["novelty"]["over_all"]
    assert (found["anomalous"], found["true_positives"], found["f1"]) == (2, 2, 1.0)
    shown = " ".join(run(*words, "--families", "novelty").stdout.split())
    assert "incidents" in shown
    assert "2/2" in shown


def test_line_numbers_of_several_logs_need_the_file(logs: Path) -> None:
    text = (logs / "app.log").read_text().splitlines(keepends=True)
    (logs / "early.log").write_text("".join(text[: 3 * 80]))
    (logs / "late.log").write_text("".join(text[3 * 80 :]))
    (logs / "lines.csv").write_text("line_number,label\n32,anomalous\n")
    words = ["--source", logs / "app.yaml", "--labels", logs / "lines.csv"]
    told = run(logs / "early.log", logs / "late.log", *words)
    assert told.exit_code == 2
    assert "for several logs, file" in " ".join(told.stderr.split())
    (logs / "lines.csv").write_text("line_number,label,file\n32,anomalous,late.log\n")
    (origin,) = figures(logs / "early.log", logs / "late.log", *words)["origins"]  # type: ignore[misc]
    found = origin["families"]["novelty"]["over_all"]
    assert (found["anomalous"], found["flagged"], found["true_positives"]) == (1, 2, 1)


def test_labels_in_the_line(logs: Path) -> None:
    found = figures(
        logs / "app.log", "--source", logs / "app.yaml", "--label-pattern", " ERROR ",
        "--setting", "contaminated",
    )  # fmt: skip
    (origin,) = found["origins"]  # type: ignore[misc]
    assert origin["families"]["novelty"]["over_all"]["recall"] == 1.0


def test_logs_without_labels_get_planted_faults_and_pictures(logs: Path) -> None:
    words = (logs / "app.log", "--source", logs / "app.yaml", "--plots", logs / "plots")
    found = figures(*words)
    assert found["setting"] == "injected"
    (origin,) = found["origins"]  # type: ignore[misc]
    assert origin["families"]["novelty"]["found_by_kind"]
    for picture in ("novelty-50.png", "origins.png"):
        assert (logs / "plots" / picture).read_bytes().startswith(b"\x89PNG")
    shown = run(*words, "--families", "novelty").stdout
    assert "Setting: injected" in shown
    assert "found of the planted: dropped" in shown
    assert "leaks: none" in shown


def test_one_file_is_learnt_and_another_judged(logs: Path) -> None:
    text = (logs / "app.log").read_text().splitlines(keepends=True)
    (logs / "early.log").write_text("".join(text[: 3 * 80]))
    (logs / "late.log").write_text("".join(text[3 * 80 :]))
    found = figures(
        logs / "late.log", "--train", logs / "early.log", "--source", logs / "app.yaml",
        "--labels", logs / "labels.csv",
    )  # fmt: skip
    (origin,) = found["origins"]  # type: ignore[misc]
    assert (origin["origin"], origin["train_windows"]) == ("early.log", 80)
    assert origin["families"]["novelty"]["over_all"]["f1"] == 1.0


def test_ready_sequences(tmp_path: Path) -> None:
    rows = ["1 2 3,0"] * 60 + ["1 2 2 3,0", "1 9 3,1"] * 20
    data = "Sequence,label\n" + "".join(f"{row}\n" for row in rows)
    (tmp_path / "s.csv.gz").write_bytes(gzip.compress(data.encode()))
    found = figures("--sequences", tmp_path / "s.csv.gz", "--train-fraction", "0.7")
    (origin,) = found["origins"]  # type: ignore[misc]
    over_all = origin["families"]["novelty"]["over_all"]
    assert (over_all["windows"], over_all["f1"]) == (30, 1.0)


def test_a_sequence_may_be_very_long(tmp_path: Path) -> None:
    rows = ["1 2 3"] * 20 + ["1 " * 100_000]
    (tmp_path / "s.csv").write_text("sequence\n" + "".join(f"{row}\n" for row in rows))
    (origin,) = figures("--sequences", tmp_path / "s.csv")["origins"]  # type: ignore[misc]
    assert origin["leaks"]["test_windows"] == 11


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "give log files, or `--sequences"),
        (["app.log", "--setting", "normal"], "`normal` needs labels"),
        (["app.log", "--setting", "shuffled"], "no setting 'shuffled'; there are: normal"),
        (["app.log", "--families", "magic"], "no detector family 'magic'"),
        (["app.log", "--train-fraction", "0.01"], "windows are too few to split at 1%"),
        (["app.log", "--labels", "app.yaml"], "app.yaml: line 1: expected the columns"),
        (["app.log", "--labels", "lines.csv"], "lines.csv: line 2: expected a line number from"),
        (["app.log", "--labels", "other.csv"], "other.csv marks none of the 24 windows"),
        (["app.log", "--label-pattern", "("], "--label-pattern: '(' is no regular expression"),
        (["app.log", "--train-fraction", "1.5"], "--train-fraction 1.5: expected a share"),
        (["--sequences", "labels.csv"], "labels.csv: line 1: expected the columns sequence"),
        (["--sequences", "bad.csv"], "bad.csv: line 3: expected events between blanks"),
    ],
)
def test_wrong_input_is_told(
    words: list[str], why: str, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "bad.csv").write_text("sequence,label\n1 2,normal\n1 2,odd\n")
    (logs / "lines.csv").write_text("line_number,label\n0,anomalous\n")
    (logs / "other.csv").write_text("session_key,label\nnobody,anomalous\n")
    monkeypatch.chdir(logs)
    told = run(*words)
    assert told.exit_code == 2, told.output
    assert why in " ".join(told.stderr.split())
