"""Source files: what they may say, and what is said of a bad one."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import include.sources
from include.sources import InvalidSource, LogSource, dump_source, load_sources

WINDOWS = "windowing: {kind: time, size: 5m, step: 5m}\n"


def write(folder: Path, text: str, file: str = "app.yaml") -> Path:
    path = folder / file
    path.write_text(text)
    return path


def test_the_smallest_source(tmp_path: Path) -> None:
    write(tmp_path, f"name: app\nformat: log4j\n{WINDOWS}")
    source = load_sources([tmp_path])["app"]
    assert (source.prefix, source.time_zone, source.masks) == ("app/", "UTC", ())


def test_what_is_redacted_survives_being_written(tmp_path: Path) -> None:
    own = "{name: account, pattern: '(?P<keep>acc=)[0-9]+'}"
    write(tmp_path, f"name: app\nformat: log4j\nredact: [secret, {own}]\n{WINDOWS}")
    source = load_sources([tmp_path])["app"]
    assert {each.name for each in source.redact} == {"secret", "account"}
    write(tmp_path, dump_source(source))
    assert load_sources([tmp_path])["app"] == source


def test_the_sources_that_come_with_the_project_are_valid() -> None:
    assert load_sources([Path(include.sources.__file__).parent])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"name: App\nformat: log4j\n{WINDOWS}", "name: "),
        (f"name: app\nformat: log5j\n{WINDOWS}", "format: .*no preset 'log5j'; there are: "),
        (f"name: app\nformat: log4j\ntime_zone: CEST1\n{WINDOWS}", "time_zone: "),
        (f"name: app\nformat: log4j\nzone: UTC\n{WINDOWS}", "zone: Extra inputs"),
        ("name: app\nformat: log4j\n", "windowing: Field required"),
        (f"name: app\nformat: log4j\nmasks: ['(']\n{WINDOWS}", "masks: .*no regular expression"),
        (f"name: app\nformat: log4j\nredact: [mail]\n{WINDOWS}", "redact: .*no kind 'mail'; there"),
        (f"name: app\nformat: log4j\nredact: email\n{WINDOWS}", "redact: .*tuple"),
        (
            f"name: app\nformat: log4j\nredact: [{{name: id, pattern: '('}}]\n{WINDOWS}",
            "redact.0.pattern: .*no regular expression",
        ),
        (f"name: app\nformat: log4j\ncontinuation: '(?=x)'\n{WINDOWS}", "continuation: .*look-"),
        (
            "name: app\nformat: log4j\nwindowing: {kind: time, size: 5 minutes, step: 5m}\n",
            "windowing.time.size: .*'5 minutes' is no duration: write a number",
        ),
        (
            "name: app\nformat: log4j\nwindowing: {kind: time, size: 5m, step: 6m}\n",
            "windowing.time: .*step is longer than size",
        ),
        (
            "name: app\nformat: log4j\nwindowing: "
            "{kind: session, key: 'a|b', idle_timeout: 1m, longest_span: 1h}\n",
            "windowing.session.key: .*exactly one group",
        ),
        (
            f"name: app\nformat: {{pattern: '^(?P<message>.*)$', time: epoch}}\n{WINDOWS}",
            "pattern: .*needs the named groups `time` and `message`",
        ),
        ("- a list\n", "file: Input should be a valid dictionary"),
        ("name: [", "not valid YAML"),
    ],
)  # fmt: skip
def test_errors_name_the_file_and_the_field(text: str, told: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InvalidSource, match=told) as caught:
        load_sources([tmp_path])
    assert str(path) in str(caught.value)


def test_two_files_of_a_folder_cannot_share_a_name(tmp_path: Path) -> None:
    for file in ("a.yaml", "b.yaml"):
        write(tmp_path, f"name: app\nformat: log4j\n{WINDOWS}", file)
    with pytest.raises(InvalidSource, match=r"b\.yaml: name: 'app' is taken by a\.yaml"):
        load_sources([tmp_path])


def test_a_later_folder_replaces_a_source(tmp_path: Path) -> None:
    for folder, line_format in (("a", "log4j"), ("b", "json")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f"name: app\nformat: {line_format}\n{WINDOWS}")
    assert load_sources([tmp_path / "a", tmp_path / "b"])["app"].format == "json"


def test_a_written_source_is_read_back(tmp_path: Path) -> None:
    source = LogSource.model_validate(
        {
            "name": "app",
            "format": {
                "pattern": r"^(?P<time>\S+ \S+) (?P<message>.*)$",
                "time": ("iso8601", "%c"),
            },
            "time_zone": "Europe/Berlin",
            "windowing": {
                "kind": "session",
                "key": r"id=(\w+)",
                "idle_timeout": timedelta(minutes=90),
                "longest_span": "2d",
            },
            "masks": [r"\bnode-\d+\b"],
        }
    )
    write(tmp_path, dump_source(source))
    assert load_sources([tmp_path]) == {"app": source}
    assert "idle_timeout: 90m" in dump_source(source)


def test_dag_files_can_import_sources_cheaply() -> None:
    code = (
        "import sys, include.sources; "
        "sys.exit(' '.join({'polars', 'pandas', 'pyarrow', 'numpy'} & set(sys.modules)) or 0)"
    )
    root = Path(include.sources.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, f"imported on the way: {done.stderr}"
