"""Every setting of the system, read from the environment.

The name of a setting in the environment is `LOGANALYZER_` and its name here in capitals. The
embedded stack and docker-compose both set them; nothing else in the code reads the environment.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Addresses, credentials and bounds; constructing it raises `pydantic.ValidationError`
    naming the variable that is missing or malformed."""

    model_config = SettingsConfigDict(env_prefix="LOGANALYZER_", frozen=True)

    database_url: SecretStr
    s3_endpoint: str = Field(description="host:port of the object store, without a scheme")
    s3_access_key: str
    s3_secret_key: SecretStr
    s3_secure: bool = False
    bucket_logs: str = "logs"
    bucket_lake: str = "lake"
    bucket_docs: str = "docs"
    mlflow_tracking_uri: str
    sources_path: str = Field(
        default=str(PROJECT_ROOT / "include" / "sources"),
        description="folders of log source files, separated as in PATH; later ones win",
    )
    batch_bytes: int = Field(
        default=64 * 2**20, gt=0, description="stored bytes of objects that one mapped task takes"
    )
    chunk_lines: int = Field(
        default=250_000, gt=0, description="lines held in memory at a time while an object is read"
    )
    alert_webhook_url: SecretStr = Field(
        default=SecretStr(""), description="takes a POST of JSON for each incident; empty for none"
    )
    alert_slack_url: SecretStr = Field(
        default=SecretStr(""), description="an incoming webhook of Slack; empty for none"
    )
    alert_email_to: str = Field(default="", description="addresses, with commas; empty for none")
    alert_email_from: str = "loganalyzer@localhost"
    alert_smtp_host: str = "localhost"
    alert_smtp_port: int = 25
    alert_smtp_tls: bool = Field(default=False, description="whether to ask for STARTTLS")
    alert_smtp_user: str = ""
    alert_smtp_password: SecretStr = SecretStr("")
    alert_link: str = Field(
        default="", description="where people read of an incident; {id} stands for its id"
    )

    airflow_url: str = Field(default="", description="Airflow's API server, to start runs by")
    airflow_user: str = "admin"
    airflow_password: SecretStr = SecretStr("")
    api_url: str = Field(
        default="http://127.0.0.1:8000", description="where browsers reach the API and its login"
    )
    dashboard_url: str = Field(
        default="http://127.0.0.1:8501", description="where browsers reach the dashboard"
    )
    registration: Literal["open", "invite", "off"] = Field(
        default="invite", description="whether people may register, and by invitation only"
    )
    oidc_issuer: str = Field(
        default="", description="an identity provider that signs people in; empty for none"
    )
    oidc_client_id: str = Field(default="", description="what the provider knows us as")
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_role: Literal["viewer", "analyst", "admin"] = Field(
        default="viewer", description="of those whom the provider signs in for the first time"
    )

    @property
    def has_oidc(self) -> bool:
        return all((self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret))

    @property
    def source_folders(self) -> list[Path]:
        return [Path(folder) for folder in self.sources_path.split(os.pathsep) if folder]


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process."""
    return Settings()
