"""What is known of each request: an id, a line of the log, and figures for Prometheus."""

from __future__ import annotations

import logging
import re
import time
from uuid import uuid4

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = re.compile(r"[\w-]{8,64}")
NO_ROUTE = "none"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

REQUESTS = Counter(
    "loganalyzer_api_requests_total", "Requests answered", ["method", "route", "status"]
)
SECONDS = Histogram(
    "loganalyzer_api_request_seconds",
    "Time until a request was answered",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

log = structlog.get_logger()


def log_as_json() -> None:
    """Each line of the log a JSON document, for the process that serves."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(
                # Variables hold passwords.
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


class Observed:
    """Around an app: gives each request an id, takes one that the caller has given, and answers
    with it; logs and counts it, with the route and not the path, which may name anything."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        begun = time.perf_counter()

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        finally:
            _tell(scope, status, time.perf_counter() - begun)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", NO_ROUTE)
    REQUESTS.labels(scope["method"], route, status).inc()
    SECONDS.labels(scope["method"], route).observe(seconds)
    caller = scope["state"].get("caller")
    log.info(
        "request",
        request_id=scope["state"]["request_id"],
        method=scope["method"],
        route=route,
        status=status,
        ms=round(1000 * seconds, 1),
        address=(scope.get("client") or (None,))[0],
        user=caller and caller.identity.name,
        token=caller and caller.identity.token_id,
    )
