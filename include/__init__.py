"""What the DAGs and the services share.

Where do I go to…
- add a log source? A YAML file in `sources/`; the model that it must fit is `sources.LogSource`.
- add a line format? `sources/formats.py`.
- change how objects are read, split and parsed? `ingest/`; its steps are in `ingest/pipeline.py`.
- change what an event is, or read events back? `lake/`.
- change a table? `database/models.py`, with a migration.
- change a data check? `quality/`.
- change what is trained, scored or monitored? `training.py`, `scoring.py` and `monitoring.py` wire
  it; the methods are in `ml`.
- change a setting? `settings.py`.
"""
