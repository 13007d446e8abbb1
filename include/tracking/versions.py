"""What the registry of MLflow knows about a version of a model."""

from __future__ import annotations

from datetime import UTC, datetime

from mlflow import MlflowClient

MS_PER_S = 1000


def registered_at(client: MlflowClient, name: str, version: str) -> datetime:
    """When a version was registered, in UTC."""
    created_ms: int = client.get_model_version(name, version).creation_timestamp
    return datetime.fromtimestamp(created_ms / MS_PER_S, UTC)
