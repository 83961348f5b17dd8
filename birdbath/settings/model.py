"""Every setting of the server, typed, from a TOML file, `BIRDBATH_*` variables and the command line.

The command line wins over variables, variables over the file, the file over the defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

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

_PREFIX: Final = "BIRDBATH_"
_OF_THE_LISTENER: Final = "BIRDBATH_XMPP_"
_ALIKE: Final = 0.9
"""How alike two names are, of 1, when one is taken for the other misspelt."""


class InvalidSettings(BirdbathError):
    """A setting is unknown or has a value that it cannot have; the text names it and where it came from."""


class Settings(NoticeSettings, BoundSettings, AccessSettings, PoolSettings, ServerSettings):
    """The settings of one server, each with its description; names in capitals are HTCondor's own."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)


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


def misspelt(variables: Iterable[str]) -> dict[str, str]:
    """Those of `variables`, the names of environment variables, that are no setting's but look like one, with
    the name that is probably meant. Not every `BIRDBATH_*` is a setting: the commands have some of their own.
    """
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    found = {}
    for name in sorted(set(variables).difference(known)):
        ours = name.startswith(_PREFIX) and not name.startswith(_OF_THE_LISTENER)
        if ours and (close := get_close_matches(name, known, 1, _ALIKE)):
            found[name] = close[0]
    return found


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
    """One sentence a setting, though pydantic has one for each kind of value that a setting may have."""
    found: dict[str, list[str]] = {}
    for mistake in error.errors():
        place, text = mistake["loc"], mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            text = "there is no such setting" + _meant(str(place[-1]))
        of_a_union = len(place) == 2 and isinstance(place[1], str) and place[0] in Settings.model_fields
        name = str(place[0]) if of_a_union else ".".join(map(str, place))
        found.setdefault(name, []).append(text)
    return "; ".join(f"{name}: {', or '.join(texts)}" for name, texts in found.items())


def _meant(name: str) -> str:
    close = get_close_matches(name, Settings.model_fields, 1)
    return f"; perhaps {close[0]}" if close else ""
