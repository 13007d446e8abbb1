"""What lasts is proposed to people as the new normal."""

import sqlalchemy as sa
from alembic import op

from include.database.view_comments import comment_on_view

revision = "0014"
down_revision = "0013"

SCHEMA = "loganalyzer"
ROLES = "loganalyzer_writer", "loganalyzer_analyst"
# What is only new, or a rate of another level. Something that is missing does not become normal
# by going on.
PROPOSALS = rf"""
CREATE VIEW {SCHEMA}.proposals AS
SELECT incident_id, title, sources, first_night, last_night, anomalies, severity, signature
FROM {SCHEMA}.incidents AS i
WHERE state = 'ongoing' AND last_night >= first_night + interval '2 days'
  AND (signature ~ '^new:[^|]+(\|new:[^|]+)*$' OR signature IN ('rate:many', 'rate:few'))
  AND NOT EXISTS (
      SELECT FROM {SCHEMA}.feedback_in_force AS f
      WHERE f.incident_id = i.incident_id AND f.verdict = 'true'
  )
ORDER BY anomalies DESC
"""
MEANING = (
    "Incidents of three nights or more in which nothing is odd but templates that were never seen "
    "before, as after a release, or the level of the rate: to be accepted as normal or refused"
)


def upgrade() -> None:
    op.execute(PROPOSALS)
    comment_on_view("proposals", MEANING, "incidents")
    have_roles = sa.text("SELECT to_regrole(:one) IS NOT NULL AND to_regrole(:other) IS NOT NULL")
    if op.get_bind().scalar(have_roles, dict(zip(("one", "other"), ROLES, strict=True))):
        op.execute(f"SELECT {SCHEMA}.grant_roles()")


def downgrade() -> None:
    op.execute(f"DROP VIEW {SCHEMA}.proposals")
