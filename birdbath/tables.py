"""The tables of pools and of rules as the settings have them."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

FEDERATION: Final = "federation"
"""The name below /pools that stands for all of them together."""

_POOL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OF_A_POOL: Final = frozenset(
    {
        *("home", "database_url", "schedd_name", "uid_domain", "pool", "private_jobs"),
        *("negotiator_interval", "program_duration", "speed", "start_time"),
        *("max_jobs_submitted", "max_jobs_per_owner", "max_jobs_per_submission", "soap_leave_in_queue"),
        *("classad_lifetime", "collector_requirements", "absent_requirements"),
    }
)


class RoutingRule(BaseModel):
    """Where the federation sends jobs: those for whose ad `when`, a ClassAd expression, is true may go to
    `pools` only, the first of them before the others where nothing else decides. The first rule that applies
    counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: str = "true"
    pools: tuple[str, ...] = Field(min_length=1)


def is_of_a_pool(setting: str) -> bool:
    """Whether a setting may stand in the table of a pool."""
    return setting in _OF_A_POOL or setting.startswith(("execute", "htcondor_"))


def checked_name(name: str) -> str:
    """`name` if a pool may be called so. Raises ValueError."""
    if not _POOL_NAME.fullmatch(name) or name == FEDERATION:
        raise ValueError(f"no pool can be called {name[:80]!r}")
    return name


def checked_pools(value: dict[str, dict[str, Any]] | None) -> dict[str, dict[str, Any]] | None:
    """The tables of pools if each holds nothing but settings of a pool. Raises ValueError."""
    for name, table in (value or {}).items():
        checked_name(name)
        if wrong := sorted(setting for setting in table if not is_of_a_pool(setting)):
            raise ValueError(f"{name}: no settings of a pool: {', '.join(wrong)}")
    return value
