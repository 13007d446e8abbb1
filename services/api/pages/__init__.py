"""The pages that the API makes itself: plain HTML that runs no program."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from include.settings import Settings
from services.api.access import origin_of
from services.api.problems import Problem

FOLDER = Path(__file__).parent
STYLE = (FOLDER / "style.css").read_text()
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_pages = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)


def page(
    settings: Settings,
    template: str,
    /,
    problem: Problem | None = None,
    base: str = "",
    **shown: Any,
) -> HTMLResponse:
    """A page by the name of its template. problem: what went wrong; base: the way to `/`."""
    text = _pages.get_template(f"{template}.html").render(
        style=Markup(STYLE),  # noqa: S704  our own file
        fault=problem.detail if problem else "",
        base=base,
        **shown,
    )
    secure = {"Content-Security-Policy": _policy(settings), "Cache-Control": "no-store"}
    if problem is None:
        return HTMLResponse(text, headers=secure)
    return HTMLResponse(text, problem.status, (problem.headers or {}) | secure)


def _policy(settings: Settings) -> str:
    """Browsers hold the forms to this also where their answer leads on."""
    ours = f"{origin_of(settings.api_url)} {origin_of(settings.dashboard_url)}"
    return (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; "
        f"form-action 'self' {ours}; base-uri 'none'; frame-ancestors 'none'"
    )
