"""Who calls, and the levels of access that HTCondor knows."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Level(enum.Enum):
    """What an operation asks for (reference section 3.1); the names are HTCondor's.

    ADMINISTRATOR implies WRITE and WRITE implies READ; ADVERTISE stands alone. NONE is had by everybody.
    """

    NONE = "none"
    READ = "read"
    WRITE = "write"
    ADVERTISE = "advertise"
    ADMINISTRATOR = "administrator"


EVERY_LEVEL: Final = frozenset(Level)


@dataclass(frozen=True)
class Caller:
    """Who calls: the peer's address, the account it proved to be (None: not authenticated), and the levels
    that it has.
    """

    address: str
    account: str | None = None
    levels: frozenset[Level] = EVERY_LEVEL
