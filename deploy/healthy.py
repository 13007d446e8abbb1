"""Ends with 0 if a server answers: `healthy.py URL [PART]`, for health checks of containers.

With a PART, the answer is Airflow's report on its components, and that one must be healthy.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request


def fault(url: str, part: str | None = None) -> str | None:
    """What is wrong, or None."""
    try:
        with urllib.request.urlopen(url, timeout=8) as response:  # noqa: S310  our own address
            body = response.read()
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {error}"
    if part is None:
        return None
    status = json.loads(body)[part]["status"]
    return None if status == "healthy" else f"{part} is {status}"


if __name__ == "__main__":
    sys.exit(fault(*sys.argv[1:]))
