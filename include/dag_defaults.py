"""What all DAGs have in common."""

from datetime import timedelta

DEFAULTS = {
    "owner": "loganalyzer",
    # For a worker that was killed, not for a fault: tasks are safe to run again.
    "retries": 2,
    "retry_delay": timedelta(seconds=5),
    "execution_timeout": timedelta(hours=2),
}

SOURCE_PARAM = {
    "default": None,
    "type": ["null", "string"],
    "title": "Log source",
    "description": "The name of one log source; empty for all of them.",
}
