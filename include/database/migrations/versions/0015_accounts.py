"""People log in, and what they do is written down for good."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"

SCHEMA = "loganalyzer"
WRITER, ANALYST = "loganalyzer_writer", "loganalyzer_analyst"
SECRET = "users", "sessions", "api_tokens", "invitations", "audit_log"
TEXT, MOMENT, NUMBER = sa.Text(), sa.DateTime(timezone=True), sa.BigInteger()
NAMES = postgresql.ARRAY(sa.Text())
ROLE = "role IN ('viewer', 'analyst', 'admin')"

REFUSE = f"""
CREATE FUNCTION {SCHEMA}.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'loganalyzer.% is only ever added to', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
"""
APPEND_ONLY = f"""
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {SCHEMA}.audit_log
FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_change()
"""
ALWAYS = f"ALTER TABLE {SCHEMA}.audit_log ENABLE ALWAYS TRIGGER append_only"
# Runs as its owner: the pipeline's role, which keeps house, may not see these tables.
FORGET = f"""
CREATE FUNCTION {SCHEMA}.forget_logins(moment timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH s AS (
        DELETE FROM {SCHEMA}.sessions WHERE least(revoked_at, expires_at) < moment RETURNING 1
    ), t AS (
        DELETE FROM {SCHEMA}.api_tokens WHERE least(revoked_at, expires_at) < moment RETURNING 1
    ), i AS (
        DELETE FROM {SCHEMA}.invitations WHERE least(used_at, expires_at) < moment RETURNING 1
    )
    SELECT (SELECT count(*) FROM s) + (SELECT count(*) FROM t) + (SELECT count(*) FROM i)
$$
"""
# What `grant_roles` of 0013 gives, but for the tables of people, which no other login may read.
GRANT_ROLES = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.grant_roles() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE relation regclass;
BEGIN
    REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC;
    GRANT USAGE ON SCHEMA {SCHEMA} TO {WRITER}, {ANALYST};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO {WRITER};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {WRITER};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} TO {WRITER};
    REVOKE INSERT, UPDATE, DELETE ON {SCHEMA}.feedback, {SCHEMA}.alembic_version FROM {WRITER};
    %s
    REVOKE EXECUTE ON FUNCTION {SCHEMA}.grant_roles FROM {WRITER};
    FOR relation IN
        SELECT oid FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'v'
    LOOP
        EXECUTE format('GRANT SELECT ON %%s TO {ANALYST}', relation);
    END LOOP;
    GRANT EXECUTE ON FUNCTION {SCHEMA}.give_feedback, {SCHEMA}.would_hide,
        {SCHEMA}.withdraw_feedback TO {ANALYST};
END $$
"""
# The writer's tasks add to the record of actions, and read nothing of it.
APART = f"""
    REVOKE ALL ON {", ".join(f"{SCHEMA}.{name}" for name in SECRET)} FROM {WRITER};
    GRANT INSERT ON {SCHEMA}.audit_log TO {WRITER};
"""


def upgrade() -> None:
    op.create_table(
        "users",
        _id("user_id", "Row number"),
        _column("name", TEXT, "What they log in with, in small letters"),
        _column("email", TEXT, "Where to write to them", nullable=True),
        _column(
            "password_hash",
            TEXT,
            "Argon2id; null for those whom an identity provider signs in",
            nullable=True,
        ),
        _column("oidc_subject", TEXT, "Issuer and subject there", nullable=True),
        _column(
            "role",
            TEXT,
            "viewer: reads; analyst: also judges and starts runs; admin: also manages users",
        ),
        _column("is_active", sa.Boolean(), "Whether they may log in", default="true"),
        _column("failed_logins", NUMBER, "Wrong passwords since the last right one", default="0"),
        _column("locked_until", MOMENT, "No password is right before this", nullable=True),
        _column("created_at", MOMENT, "When", default="now()"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
        sa.UniqueConstraint("oidc_subject", name=op.f("uq_users_oidc_subject")),
        sa.CheckConstraint(ROLE, name=op.f("ck_users_role")),
        sa.CheckConstraint("name = lower(name)", name=op.f("ck_users_name")),
        schema=SCHEMA,
        comment="Who may log in; nobody is deleted, since what they did names them",
    )
    op.create_table(
        "sessions",
        _id("session_id", "Row number"),
        _column("secret_hash", sa.LargeBinary(), "SHA-256 of the secret"),
        _column("user_id", NUMBER, "Whose"),
        _column("address", TEXT, "The address that it was made from", nullable=True),
        _column("user_agent", TEXT, "The program that it was made with", nullable=True),
        _column("created_at", MOMENT, "When", default="now()"),
        _column("expires_at", MOMENT, "It ends then"),
        _column("revoked_at", MOMENT, "or when it was ended before", nullable=True),
        *_of_user("sessions", "session_id", "user_id"),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_sessions_secret_hash")),
        schema=SCHEMA,
        comment="Logins; the secret itself is only in the cookie",
    )
    op.create_table(
        "api_tokens",
        _id("token_id", "Row number"),
        _column("secret_hash", sa.LargeBinary(), "SHA-256 of the secret"),
        _column("user_id", NUMBER, "Whose"),
        _column("name", TEXT, "What it is for"),
        _column("scopes", NAMES, "Of the rights of its user, the ones it has"),
        _column("created_at", MOMENT, "When", default="now()"),
        _column("expires_at", MOMENT, "It ends then"),
        _column("revoked_at", MOMENT, "or when it was ended before", nullable=True),
        *_of_user("api_tokens", "token_id", "user_id"),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_tokens_secret_hash")),
        schema=SCHEMA,
        comment="What programs identify themselves with, for a user and some of their rights",
    )
    op.create_table(
        "invitations",
        _id("invitation_id", "Row number"),
        _column("secret_hash", sa.LargeBinary(), "SHA-256 of the secret in the link"),
        _column("role", TEXT, "What the invited one becomes"),
        _column("invited_by", NUMBER, "By whom"),
        _column("created_at", MOMENT, "When", default="now()"),
        _column("expires_at", MOMENT, "It ends then"),
        _column("used_by", NUMBER, "Who came", nullable=True),
        _column("used_at", MOMENT, "and when", nullable=True),
        *_of_user("invitations", "invitation_id", "invited_by", "used_by"),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_invitations_secret_hash")),
        sa.CheckConstraint(ROLE, name=op.f("ck_invitations_role")),
        sa.CheckConstraint(
            "(used_by IS NULL) = (used_at IS NULL)", name=op.f("ck_invitations_used")
        ),
        schema=SCHEMA,
        comment="Who may register where registration is by invitation",
    )
    op.create_table(
        "audit_log",
        _id("audit_id", "Row number, in order of time"),
        _column("at", MOMENT, "When", default="now()"),
        _column("actor", TEXT, "Who: the name of a user, or nobody where no login was made"),
        _column("token_id", NUMBER, "With which of their tokens; null for none", nullable=True),
        _column("action", TEXT, "What, as subject.verb: session.login, feedback.give"),
        _column("subject", TEXT, "Of what, by its id", nullable=True),
        _column("origin", TEXT, "Through what: api, dashboard, airflow or cli"),
        _column("address", TEXT, "The network address that it came from", nullable=True),
        _column("request_id", TEXT, "The request, as the log of the API names it", nullable=True),
        _column(
            "before",
            postgresql.JSONB(),
            "What was so before; null where nothing was",
            nullable=True,
        ),
        _column("after", postgresql.JSONB(), "and afterwards", nullable=True),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_log")),
        sa.CheckConstraint(
            "origin IN ('api', 'dashboard', 'airflow', 'cli')", name=op.f("ck_audit_log_origin")
        ),
        schema=SCHEMA,
        comment="Who did what; rows are only ever added, the database sees to that",
    )
    for table, name in (
        ("sessions", "user_id"),
        ("api_tokens", "user_id"),
        ("audit_log", "actor"),
        ("audit_log", "action"),
    ):
        op.create_index(f"ix_{table}_{name}", table, [name], schema=SCHEMA)
    op.execute(REFUSE)
    op.execute(f"COMMENT ON FUNCTION {SCHEMA}.refuse_change IS 'Refuse to change what is there'")
    op.execute(FORGET)
    op.execute(
        f"COMMENT ON FUNCTION {SCHEMA}.forget_logins IS 'Forget sessions, tokens and invitations "
        "that ended before a moment; how many'"
    )
    op.execute(APPEND_ONLY)
    op.execute(ALWAYS)
    _replace_grants(APART)


def downgrade() -> None:
    _replace_grants("")
    op.execute(f"DROP FUNCTION {SCHEMA}.forget_logins")
    for table in reversed(SECRET):
        op.drop_table(table, schema=SCHEMA)
    op.execute(f"DROP FUNCTION {SCHEMA}.refuse_change")


def _replace_grants(apart: str) -> None:
    op.execute(GRANT_ROLES % apart)
    have_roles = sa.text("SELECT to_regrole(:one) IS NOT NULL AND to_regrole(:other) IS NOT NULL")
    if op.get_bind().scalar(have_roles, {"one": WRITER, "other": ANALYST}):
        op.execute(f"SELECT {SCHEMA}.grant_roles()")


def _id(name: str, comment: str) -> sa.Column:
    return sa.Column(name, NUMBER, sa.Identity(), nullable=False, comment=comment)


def _column(
    name: str,
    kind: sa.types.TypeEngine,
    comment: str,
    nullable: bool = False,
    default: str | None = None,
) -> sa.Column:
    given = sa.text(default) if default else None
    return sa.Column(name, kind, nullable=nullable, comment=comment, server_default=given)


def _of_user(table: str, key: str, *names: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint(key, name=op.f(f"pk_{table}")),
        *(
            sa.ForeignKeyConstraint(
                [name], [f"{SCHEMA}.users.user_id"], name=op.f(f"fk_{table}_{name}")
            )
            for name in names
        ),
    ]
