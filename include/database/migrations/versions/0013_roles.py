"""Roles: the writer, who fills the tables, and the analyst, who reads views and gives feedback."""

import logging

import sqlalchemy as sa
from alembic import op

log = logging.getLogger(__name__)

revision = "0013"
down_revision = "0012"

SCHEMA = "loganalyzer"
WRITER, ANALYST = "loganalyzer_writer", "loganalyzer_analyst"

# Later migrations call it again, for what they have made.
GRANT_ROLES = f"""
CREATE FUNCTION {SCHEMA}.grant_roles() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE relation regclass;
BEGIN
    REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM PUBLIC;
    GRANT USAGE ON SCHEMA {SCHEMA} TO {WRITER}, {ANALYST};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO {WRITER};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {WRITER};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} TO {WRITER};
    REVOKE INSERT, UPDATE, DELETE ON {SCHEMA}.feedback, {SCHEMA}.alembic_version FROM {WRITER};
    REVOKE EXECUTE ON FUNCTION {SCHEMA}.grant_roles FROM {WRITER};
    FOR relation IN
        SELECT oid FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'v'
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO {ANALYST}', relation);
    END LOOP;
    GRANT EXECUTE ON FUNCTION {SCHEMA}.give_feedback, {SCHEMA}.would_hide,
        {SCHEMA}.withdraw_feedback TO {ANALYST};
END $$
"""
MEANING = (
    "Give the roles loganalyzer_writer and loganalyzer_analyst what they may have; to be called "
    "after they, or tables or views, were made"
)
# Several databases of a cluster share the roles, so that others may be making them too.
ROLES = f"""
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['{WRITER}', '{ANALYST}'] LOOP
        IF to_regrole(name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
END $$
"""
HAVE_ROLES = f"""
SELECT to_regrole('{WRITER}') IS NOT NULL AND to_regrole('{ANALYST}') IS NOT NULL
"""
REVOKES = f"""
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['{WRITER}', '{ANALYST}'] LOOP
        CONTINUE WHEN to_regrole(name) IS NULL;
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM %I', name);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA {SCHEMA} FROM %I', name);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {SCHEMA} FROM %I', name);
        EXECUTE format('REVOKE ALL ON SCHEMA {SCHEMA} FROM %I', name);
    END LOOP;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} TO PUBLIC;
END $$
"""


def upgrade() -> None:
    op.execute(GRANT_ROLES)
    op.execute(f"COMMENT ON FUNCTION {SCHEMA}.grant_roles IS '{MEANING}'")
    op.execute(ROLES)
    if op.get_bind().scalar(sa.text(HAVE_ROLES)):
        op.execute(f"SELECT {SCHEMA}.grant_roles()")
    else:
        log.warning(
            "The roles %s and %s are missing, and this role may not make them. Without them, only "
            "the owner of the schema can use it. Let a role that may run CREATE ROLE for both, and "
            "then call %s.grant_roles() as the owner.",
            WRITER,
            ANALYST,
            SCHEMA,
        )


def downgrade() -> None:
    op.execute(REVOKES)
    op.execute(f"DROP FUNCTION {SCHEMA}.grant_roles")
