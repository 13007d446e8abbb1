"""The assets that the DAGs make, from raw to answer, declared once."""

from airflow.sdk import Asset

LAKE_EVENTS = Asset(name="lake_events", uri="s3://lake/events", group="lake")
CHAMPION_MODELS = Asset(name="champion_models", uri="mlflow://champion", group="models")
ANOMALIES = Asset(
    name="anomalies", uri="postgres://postgres/loganalyzer/loganalyzer/anomalies", group="answers"
)
# Its events name in `extra` the source, the day that was measured and the reason.
SOURCE_DRIFT = Asset(
    name="source_drift",
    uri="postgres://postgres/loganalyzer/loganalyzer/retrain_requests",
    group="answers",
)
