"""Runs every benchmark and writes what they print to docs/benchmarks.md."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from include.settings import PROJECT_ROOT

PROGRAMS = ["end_to_end", "template_accuracy", "templates"]


def main() -> None:
    sections = []
    for name in PROGRAMS:
        print(f"{name}…", flush=True)
        answer = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=PROJECT_ROOT,
        )
        command = f"make bench-{name.replace('_', '-')}"
        sections.append(
            f"## {name}\n\n`{command}` printed:\n\n```\n{answer.stdout.rstrip()}\n```\n"
        )
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
