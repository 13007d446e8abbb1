"""Who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT

OURS = {"dags", "experiments", "include", "ml", "plugins", "services"}
MAY_IMPORT = {
    "ml": {"ml"},
    "include": {"include", "ml"},
    "plugins": {"plugins", "include", "ml"},
    "services": {"services", "include", "ml"},
    "dags": {"dags", "plugins", "include", "ml"},
    "experiments": {"include", "ml", "services.simulator"},
}
ONLY_IN = {
    "mlflow": "include/tracking",
    "great_expectations": "include/quality",
    "minio": "include/objects.py",
    "sqlalchemy": "include/database",
    "alembic": "include/database",
}


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, or imports from, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def is_in(module: str, packages: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    files = sorted((PROJECT_ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        ours = {module for module in imported(path) if is_in(module, OURS)}
        assert {module for module in ours if not is_in(module, MAY_IMPORT[folder])} == set(), path


@pytest.mark.parametrize(("library", "place"), ONLY_IN.items())
def test_a_library_is_imported_in_one_place(library: str, place: str) -> None:
    users = {
        path.relative_to(PROJECT_ROOT).as_posix()
        for folder in OURS
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        if any(is_in(module, {library}) for module in imported(path))
    }
    assert users
    assert {user for user in users if user != place and not user.startswith(f"{place}/")} == set()
