"""Constraints as clients send them."""

from __future__ import annotations

import logging

from birdbath.classads import Constraint
from birdbath.errors import InvalidAd, RequestFault

_log = logging.getLogger(__name__)


def client_constraint(text: str | None, strict: bool, seconds: float = 0.0) -> Constraint | None:
    """The constraint in `text`; None when it is no expression, which selects nothing (reference sections
    3.14, 4.2).

    With `strict` that raises RequestFault instead. `seconds` is how long a query with it may take; 0: no
    limit.
    """
    try:
        return Constraint(text, seconds)
    except InvalidAd as error:
        if strict:
            raise RequestFault(f"Bad constraint: {error}") from None
        # Quoted: it has text of the client's, which could make up lines of the log.
        _log.info("A constraint selects nothing: %r", str(error)[:200])
        return None
