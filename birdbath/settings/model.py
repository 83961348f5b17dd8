"""Every setting of the server, typed, from a TOML file, `BIRDBATH_*` variables and the command line.

The command line wins over variables, variables over the file, the file over the defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from birdbath.errors import BirdbathError
from birdbath.settings.access import AccessSettings
from birdbath.settings.bounds import BoundSettings
from birdbath.settings.notices import NoticeSettings
from birdbath.settings.pools import PoolSettings
from birdbath.settings.server import ServerSettings


class InvalidSettings(BirdbathError):
    """A setting is unknown or has a value that it cannot have; the text names it and where it came from."""


class Settings(NoticeSettings, BoundSettings, AccessSettings, PoolSettings, ServerSettings):
    """The settings of one server, each with its description; names in capitals are HTCondor's own."""

    model_config = SettingsConfigDict(env_prefix="BIRDBATH_", extra="forbid", frozen=True)


def load_settings(file: Path | None = None, **given: Any) -> Settings:
    """The settings in force: `given` (those that are not None) over variables over `file` over the defaults.

    Raises InvalidSettings with one line per mistake.
    """

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            kept = (named["init_settings"], named["env_settings"])
            return (*kept, TomlConfigSettingsSource(settings_cls, file)) if file else kept

    if file is not None and not file.is_file():
        raise InvalidSettings(f"There is no settings file {file}")
    try:
        return FromFile(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidSettings(_mistakes(error)) from None
    except ValueError as error:
        raise InvalidSettings(f"{file}: {error}") from None


def settings_from(values: dict[str, Any]) -> Settings:
    """Settings from `values` and the defaults alone. Raises InvalidSettings."""

    class FromValues(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (named["init_settings"],)

    try:
        return FromValues(**values)
    except ValidationError as error:
        raise InvalidSettings(_mistakes(error)) from None


def _mistakes(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
