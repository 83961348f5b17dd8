"""Which pool, and how the gateway proves to it who it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from birdbath.errors import BirdbathError


class PoolRefused(BirdbathError):
    """The pool does not do that; the text is its own."""


class RefusedTogether(PoolRefused):
    """The pool refused what several asked for in one call: one of them, it does not say which."""


class PoolUnreachable(BirdbathError):
    """The schedd, or the collector, cannot be reached or does not answer in time."""


@dataclass(frozen=True)
class Connection:
    """A pool: its configuration file, or its collector and what else the bindings have to know.

    `collector` and `schedd` None mean what the configuration says, or the only one. `parameters` are
    configuration variables set on top of it. `address`, `<host:port>`, is the gateway's own, which it shows
    in the ad of its schedd.
    """

    configuration: str | None = None
    collector: str | None = None
    schedd: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    address: str = ""

    def environment(self) -> dict[str, str]:
        """The environment of a worker process."""
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("_CONDOR_")}
        kept["CONDOR_CONFIG"] = self.configuration or kept.get("CONDOR_CONFIG") or "/dev/null"
        if os.geteuid() == 0:  # the bindings would touch files as the account condor, or refuse to start
            kept["CONDOR_IDS"] = "0.0"
        return kept
