"""The lake: events as Parquet, partitioned by source, date and hour of their event time.

Where do I go to…
- see what an event is? `schema.py`.
- read events or windows? `events.py`, which sees only what the ledger says is published.
- read the windows of a night of any size? `parts.py`.
"""
