"""The Arrow schemas of the lake."""

import pyarrow as pa

VERSION = "1"

_TIME = pa.timestamp("us", tz="UTC")

# A log record with its header parsed, before its template is known.
PARSED_SCHEMA = pa.schema(
    [
        pa.field("event_time", _TIME, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("host", pa.string()),
        pa.field("severity", pa.string()),
        pa.field("component", pa.string()),
        pa.field("session_key", pa.string()),
        pa.field("message", pa.string(), nullable=False),
        pa.field("object_key", pa.string(), nullable=False),
        pa.field("line_number", pa.int64(), nullable=False),
    ],
    metadata={"loganalyzer.schema": "parsed", "loganalyzer.version": VERSION},
)

# `object_key` and `line_number` (from one, of the record's first line) lead back to the bytes.
EVENT_SCHEMA = pa.schema(
    [
        *PARSED_SCHEMA,
        pa.field("template_id", pa.string(), nullable=False),
        pa.field("parameters", pa.list_(pa.string()), nullable=False),
    ],
    metadata={"loganalyzer.schema": "event", "loganalyzer.version": VERSION},
)

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("object_key", pa.string(), nullable=False),
        pa.field("line_number", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("line", pa.string(), nullable=False),
    ],
    metadata={"loganalyzer.schema": "quarantine", "loganalyzer.version": VERSION},
)

# Of columns with few values Parquet keeps a dictionary; one of messages or numbers would only grow.
REPEATING = ["source", "host", "severity", "component", "object_key", "template_id"]
# Of numbers that mostly grow by little, it keeps the differences.
GROWING = ["event_time", "line_number"]
