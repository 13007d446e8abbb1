"""Who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT

OURS = {"dags", "include", "ml", "plugins", "services"}
MAY_IMPORT = {
    "ml": {"ml"},
    "include": {"include", "ml"},
    "plugins": {"plugins", "include", "ml"},
    "services": {"services", "include", "ml"},
    "dags": {"dags", "plugins", "include", "ml"},
}
ONLY_IN = {
    "mlflow": "include/tracking",
    "great_expectations": "include/quality",
    "minio": "include/objects.py",
    "sqlalchemy": "include/database",
    "alembic": "include/database",
}


def imported(path: Path) -> Iterator[str]:
    """The top-level names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    files = sorted((PROJECT_ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        assert set(imported(path)) & OURS <= MAY_IMPORT[folder], path


@pytest.mark.parametrize(("library", "place"), ONLY_IN.items())
def test_a_library_is_imported_in_one_place(library: str, place: str) -> None:
    users = {
        path.relative_to(PROJECT_ROOT).as_posix()
        for folder in OURS
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        if library in imported(path)
    }
    assert users
    assert {user for user in users if user != place and not user.startswith(f"{place}/")} == set()
