"""Postgres: the only package that speaks SQL.

Where do I go to…
- see or change a table? `models.py`, and a new migration in `migrations/versions/`.
- know what was ingested, and which parts of the lake are visible? `ledger.py`.
- read or save templates? `catalogue.py`.
- write or read anomalies? `anomalies.py`. Labels? `labels.py`. Data checks? `validations.py`.
- list anomalies, incidents, sources or templates in pages? `browsing.py`, `incident_pages.py`,
  `source_pages.py`, `template_pages.py`.
- mute or confirm anomalies? `feedback.py`, and the functions of the migration `0011_feedback.py`.
- change who may do what? The function of the migration `0013_roles.py`.
- replace, resolve or claim incidents? `incidents.py`. Accept what lasts? `proposals.py`.
- see what the gate said of a challenger? `promotions.py`.
- read or write what is measured of each day, and when a retrain was asked for? `monitoring.py`.
- know what the judgement of a night rests on? `coverage.py`.
- see what a challenger would have flagged? `shadows.py`.
- change how the rows of an interval are replaced? `replacing.py`.
- know who may log in? `accounts.py`; how people come by an account? `registration.py`; who a
  session or token belongs to? `logins.py`. Their tables are in `account_tables.py`.
- write down, or read, who did what? `audit.py`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from include.settings import Settings

__all__ = ["Connection", "Engine", "engine", "is_reachable", "migrate", "took_too_long"]

SCHEMA = "loganalyzer"
# Without logins: whoever may fill the tables, or read the views, is made a member. The owner of the
# schema is the role that migrates.
ROLES = ("loganalyzer_writer", "loganalyzer_analyst")
QUERY_CANCELED = "57014"
# A server that is cut off says nothing at all: Airflow's scheduler and readers do not wait for it.
LONGEST_CONNECT_S = 5
# Any number will do, as long as it is always this one.
MIGRATION_LOCK = 5_364_001


def engine(settings: Settings, longest_s: int = 0) -> Engine:
    """The pool of connections to the project's database. longest_s: of a statement; 0 for no end.

    A statement that takes longer raises what `took_too_long` knows.
    """
    return _engine(settings.database_url.get_secret_value(), longest_s)


@lru_cache(maxsize=4)
def _engine(url: str, longest_s: int) -> Engine:
    # Days and hours in SQL are UTC, whatever zone the server or its host is set to.
    options = f"-c TimeZone=UTC -c statement_timeout={longest_s}s"
    connecting = {"options": options, "connect_timeout": LONGEST_CONNECT_S}
    # Errors go to logs, and parameters hold hashes of passwords and lines of logs.
    return sa.create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=connecting)


def took_too_long(error: Exception) -> bool:
    """Whether an error is that a statement was ended because of `longest_s`."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "pgcode", None) == QUERY_CANCELED


def is_reachable(pool: Engine) -> bool:
    """Whether the database answers."""
    try:
        with pool.connect() as conn:
            return conn.scalar(sa.select(1)) == 1
    except sa.exc.OperationalError:
        return False


def migrate(url: str, revision: str = "head") -> None:
    """Bring the schema to a revision; several at once wait for each other.

    Down to `base` leaves nothing: the schema goes with its last table. All of it is one
    transaction, so that a migration that fails leaves the database as it was.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    # Alembic reads the value as a ConfigParser does, where a percent sign must be doubled.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    pool = sa.create_engine(url)
    try:
        with pool.begin() as conn:
            conn.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config.attributes["connection"] = conn
            if revision == "base":
                command.downgrade(config, revision)
                conn.execute(sa.text(f"DROP TABLE {SCHEMA}.alembic_version"))
                conn.execute(sa.text(f"DROP SCHEMA {SCHEMA}"))
            else:
                command.upgrade(config, revision)
    finally:
        pool.dispose()
