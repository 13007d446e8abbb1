"""Prepares the stores before the servers start: databases, roles, buckets, tables, a password.

All that it makes is read from the addresses the servers themselves are given. Done again, it
changes nothing but passwords that were changed. PGUSER and PGPASSWORD are of a role that may
create roles and databases.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg2
from psycopg2 import sql

from include.database import ROLES, accounts, engine, migrate
from include.objects import ObjectStore
from include.settings import Settings, get_settings

DATABASE_URLS = (
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "MLFLOW_BACKEND_STORE_URI",
    "LOGANALYZER_DATABASE_URL",
)


def ensure_database(url: str) -> None:
    """Create the database of an address, and the role that owns it."""
    parts = urlsplit(url)
    role, password = unquote(parts.username or ""), unquote(parts.password or "")
    database = parts.path.removeprefix("/")
    conn = psycopg2.connect(host=parts.hostname, port=parts.port, dbname="postgres")
    conn.autocommit = True  # a database cannot be created within a transaction
    names = {"role": sql.Identifier(role), "database": sql.Identifier(database)}
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE ROLE {role}").format(**names))
        cursor.execute(sql.SQL("ALTER ROLE {role} LOGIN PASSWORD %s").format(**names), [password])
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {database} OWNER {role}").format(**names))
    conn.close()


def ensure_roles(url: str) -> None:
    """Create the roles that migrations give rights to, on the server of an address."""
    parts = urlsplit(url)
    conn = psycopg2.connect(host=parts.hostname, port=parts.port, dbname="postgres")
    with conn, conn.cursor() as cursor:
        for role in ROLES:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if not cursor.fetchone():
                cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
    conn.close()


def ensure_buckets(settings: Settings, artifacts_url: str) -> None:
    store = ObjectStore(settings)
    ours = (settings.bucket_logs, settings.bucket_lake, settings.bucket_docs)
    for bucket in (*ours, urlsplit(artifacts_url).netloc):
        store.ensure_bucket(bucket)


def write_password(environment: Mapping[str, str]) -> None:
    """Airflow reads the passwords of its users from a file."""
    user, _, _ = environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].partition(":")
    path = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps({user: environment["AIRFLOW_PASSWORD"]}))


def ensure_first_user(settings: Settings, password: str) -> None:
    """Create the user `admin`, where there is nobody who could make users."""
    with engine(settings).begin() as conn:
        accounts.ensure_first_user(conn, "admin", password)


def main() -> None:
    settings = get_settings()
    for name in DATABASE_URLS:
        ensure_database(os.environ[name])
    ensure_roles(os.environ["LOGANALYZER_DATABASE_URL"])
    ensure_buckets(settings, os.environ["MLFLOW_ARTIFACTS_DESTINATION"])
    write_password(os.environ)
    migrate(settings.database_url.get_secret_value())
    ensure_first_user(settings, os.environ["ADMIN_PASSWORD"])
    airflow = Path(sys.executable).parent / "airflow"
    subprocess.run([airflow, "db", "migrate"], check=True)  # noqa: S603  our own program


if __name__ == "__main__":
    main()
