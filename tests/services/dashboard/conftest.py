"""Pages of the dashboard over the real API, which a thread serves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa
import uvicorn
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from include.database import accounts, logins
from include.settings import PROJECT_ROOT
from include.workspace import Workspace
from services.api.app import create_app
from services.dashboard import client, session, settings

APP = PROJECT_ROOT / "services" / "dashboard" / "app.py"
PATIENCE_S = 30

Show = Callable[..., AppTest]


@pytest.fixture
def space(workspace: Workspace) -> Iterator[Workspace]:
    """A workspace whose pool of connections ends with the test."""
    own = replace(workspace, engine=sa.create_engine(workspace.engine.url))
    yield own
    own.engine.dispose()


@pytest.fixture
def served(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The API, and the dashboard of this process asking it."""
    config = uvicorn.Config(create_app(space), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    ask_at(address, monkeypatch)
    yield address
    server.should_exit = True
    thread.join()
    ask_at(address, monkeypatch)


def ask_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the dashboard ask another API."""
    monkeypatch.setenv("LOGANALYZER_API_URL", address)
    settings.get_settings.cache_clear()
    client.connections.cache_clear()


@pytest.fixture
def show(space: Workspace, served: str, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Opens a page as somebody of a role, or as nobody."""

    def opened(page: str, role: str | None = "admin", **query: str) -> AppTest:
        secret = None
        if role is not None:
            with space.engine.begin() as conn:
                name = f"d{uuid4().hex[:12]}"
                user = accounts.create_user(conn, name, None, role)
                secret = logins.open_session(conn, user).secret
        monkeypatch.setattr(session, "secret", lambda: secret)
        monkeypatch.setattr(session, "address", lambda: "192.0.2.7")
        app = AppTest.from_file(str(APP), default_timeout=PATIENCE_S)
        app.query_params.update(query)
        # It opens pages that are files by their names, and none that are functions.
        app._page_hash = calc_hash(page if page != "tonight" else "")
        return app.run()

    return opened
