"""What the README says exists, and what exists is said."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from typer.main import get_command

from include.settings import PROJECT_ROOT
from include.sources import LogSource
from include.sources.formats import PRESETS
from services.cli import app

README = (PROJECT_ROOT / "README.md").read_text()
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.*##", MAKEFILE, re.MULTILINE))


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [text for of_language, text in found if of_language == language]


def shell_lines(program: str) -> list[str]:
    lines = [line for block in blocks("") for line in block.splitlines()]
    return [line.split("#")[0].split() for line in lines if line.startswith(program)]


def test_every_make_target_that_the_readme_names_exists() -> None:
    named = {words[1] for words in shell_lines("make ")}
    named |= set(re.findall(r"`make ([a-z-]+)", README))
    assert named
    assert named <= TARGETS


@pytest.mark.parametrize("words", shell_lines("loganalyzer "), ids=" ".join)
def test_every_command_that_the_readme_shows_has_these_options(words: list[str]) -> None:
    command = get_command(app)
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_every_command_stands_in_the_readme() -> None:
    shown = {words[1] for words in shell_lines("loganalyzer ")}
    told_by_make = {"demo", "clean"}
    for_programs = {"env"}
    assert set(get_command(app).commands) == shown | told_by_make | for_programs


def test_the_timetable_is_that_of_the_dags() -> None:
    files = {path.stem for path in (PROJECT_ROOT / "dags").glob("[a-z]*.py")}
    table = dict(re.findall(r"^\| ([^|]+?) \| `(\w+)` \|", README, re.MULTILINE))
    assert set(table.values()) == files
    for when, dag_id in table.items():
        source = (PROJECT_ROOT / "dags" / f"{dag_id}.py").read_text()
        (cron,) = re.findall(r'CronTriggerTimetable\("([^"]+)"', source)
        assert (
            cron
            == {
                "every hour, at ten past": "10 * * * *",
                "every night, 02:30": "30 2 * * *",
                "every night, 03:30": "30 3 * * *",
                "Sundays, 04:00": "0 4 * * 0",
                "first of the month, 05:00": "0 5 1 * *",
            }[when]
        )


def test_every_format_stands_in_the_readme() -> None:
    for name in PRESETS:
        assert f"`{name}`" in README


def test_the_example_source_is_one_and_takes_the_options_shown() -> None:
    source, *options = (yaml.safe_load(text) for text in blocks("yaml"))
    assert LogSource.model_validate(source).prefix == "app/"
    assert options
    for option in options:
        assert LogSource.model_validate(source | option).prefix == "app/"


def test_every_path_that_the_docs_name_exists() -> None:
    for path in [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md")]:
        text = path.read_text()
        named = re.findall(r"\]\(([^)]+\.png)\)", text)
        named += re.findall(
            r"`((?:dags|include|ml|services|docs|deploy|benchmarks|experiments)/[^`]*)`", text
        )
        for name in named:
            found = (PROJECT_ROOT / name).exists() or (path.parent / name).exists()
            assert found, f"{path.name} names {name}"


def test_make_help_lists_every_target() -> None:
    told = subprocess.run(
        ["make", "help"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {target for target in TARGETS if f"make {target}" not in told} == set()
