"""Runs every benchmark and writes what they print to docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from include.settings import PROJECT_ROOT

QUICK_FAMILIES = "novelty,isolation_forest,one_class_svm,ensemble"
# With their arguments. A trial of a network takes half a minute, of the others a second; the
# peers of `templates` take a quarter of an hour over five million lines, and networks an hour over
# windows of BGL_100k, of which there are too few for them.
PROGRAMS: list[tuple[str, list[str]]] = [
    ("end_to_end", []),
    ("detection", ["--tasks", "A,B,C"]),
    ("detection", ["--tasks", "D", "--families", QUICK_FAMILIES]),
    ("detection_cost", []),
    ("tuning", ["--tasks", "labelled", "--trials-of", "lstm=8,bert=4"]),
    ("tuning", ["--tasks", "unlabelled", "--families", QUICK_FAMILIES, "--side-by-side", "0"]),
    ("nights", []),
    ("scoring", ["--copies", "4,16,44"]),
    ("api", []),
    ("rates", []),
    ("template_accuracy", []),
    ("templates", ["--lines", "1000000", "--scale-lines", "5000000", "--rounds", "1"]),
]


def main() -> None:
    sections = []
    for name, arguments in PROGRAMS:
        print(f"{name}…", flush=True)
        answer = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=PROJECT_ROOT,
        )
        command = f"make bench-{name.replace('_', '-')}"
        if arguments:
            command += f' ARGS="{" ".join(arguments)}"'
        # The last line holds the same figures for programs.
        told = answer.stdout.rstrip().rpartition("\n")[0]
        sections.append(f"## {name}\n\n`{command}` printed:\n\n```\n{told}\n```\n")
    head = (
        "# Benchmarks\n\n"
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}. The real logs they need are not "
        "part of the project: `LOGANALYZER_DATA` names their folder.\n"
    )
    target = PROJECT_ROOT / "docs" / "benchmarks.md"
    target.write_text("\n".join([head, *sections]))
    print(f"written: {target}")


if __name__ == "__main__":
    main()
