"""What the dashboard needs to know: where the API is. It holds no credentials."""

from __future__ import annotations

from functools import lru_cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DashboardSettings(BaseSettings):
    """Read from the environment, each with `LOGANALYZER_` before its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="LOGANALYZER_", frozen=True)

    api_url: str = Field(
        default="http://127.0.0.1:8000", description="where browsers reach the API and its login"
    )
    api_internal_url: str = Field(
        default="", description="where the dashboard itself reaches it; empty for the same"
    )
    dashboard_url: str = Field(
        default="http://127.0.0.1:8501", description="where browsers reach the dashboard"
    )

    @property
    def api_address(self) -> str:
        return self.api_internal_url or self.api_url


@lru_cache(maxsize=1)
def get_settings() -> DashboardSettings:
    """The settings of this process."""
    return DashboardSettings()
