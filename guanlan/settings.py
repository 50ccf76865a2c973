"""Settings: environment variables `GUANLAN_…`, then a `guanlan.toml` in the working directory, then defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from rules.problems import ConfigError


class Settings(BaseSettings):
    """What an operator may set; `docs/operators.md` explains each."""

    model_config = SettingsConfigDict(
        env_prefix="GUANLAN_", toml_file="guanlan.toml", extra="forbid", populate_by_name=True
    )

    bootstrap: str = Field(
        "localhost:9092", validation_alias=AliasChoices("GUANLAN_BOOTSTRAP", "KAFKA_BOOTSTRAP", "bootstrap")
    )
    group: str = "guanlan"
    instance: str = ""
    topic_prefix: str = ""
    partitions: int = Field(8, ge=1, le=1024)
    replication: int = Field(1, ge=1, le=7)
    data_dir: Path = Path(".guanlan")
    catalogue: Annotated[list[str], NoDecode] = ["cn"]
    packs: Annotated[list[str], NoDecode] = []
    metrics_host: str = "0.0.0.0"
    metrics_port: int = Field(9464, ge=0, le=65535)
    max_record_bytes: int = Field(8_000_000, ge=1_000)
    max_file_bytes: int = Field(16 << 30, ge=1_000)
    max_file_rows: int = Field(50_000_000, ge=1)
    max_file_cells: int = Field(2_000_000_000, ge=1)
    max_file_columns: int = Field(250_000, ge=1)
    series_budget: int = Field(200_000, ge=100)
    market_seconds: float = Field(10.0, ge=0)
    clock: Literal["wall", "data"] = "wall"
    alertmanager_url: str = ""
    notify: Annotated[list[str], NoDecode] = []
    desk_policy: str = ""
    desk_url: str = ""
    language: str = "en"

    @field_validator("catalogue", "packs", "notify", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: object) -> Settings:
    """Read the settings; raise ConfigError with one line a mistake."""
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as err:
        lines = [f"setting {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in err.errors()]
        raise ConfigError("\n".join(lines)) from None
