"""Ingest: from objects in the bucket of raw logs to events in the lake.

Where do I go to…
- see the steps, as the DAG calls them? `pipeline.py`.
- read another compression or encoding? `decode.py`.
- change what makes a record out of lines? `records.py`.
- change how the fields of a header are found? `headers.py`; the expressions are in
  `include/sources`.
- change how those fields become an event, or why a line is refused? `parse.py`, `times.py`.
- see what a batch is and what is said of each object? `batches.py`.
- change what is counted when a batch is read first, or how it is written to the lake? `stage.py`
  and `write.py`.
"""
