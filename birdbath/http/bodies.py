"""JSON bodies of requests, checked. No I/O."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from birdbath.errors import BirdbathError
from birdbath.http.asgi import JSON, Scope, header

_MOST_TOLD: Final = 5
"""Mistakes of a body that are told; there may be as many as it has fields."""


class BadRequest(BirdbathError):
    """The request asks for nothing that there is; the text says what is wrong with it."""


def is_json(scope: Scope) -> bool:
    """Whether a request says that its body is JSON; SOAP, which goes by POST to any path, is not."""
    return header(scope, b"content-type").lower().startswith(JSON.encode())


class Body(BaseModel):
    """What a body may hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def read(cls, body: bytes) -> Self:
        """The body of a request. Raises BadRequest with one line on all that is wrong."""
        try:
            return cls.model_validate_json(body or b"{}")
        except ValidationError as error:
            mistakes = [f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}" for e in error.errors()]
            more = [f"and {len(mistakes) - _MOST_TOLD} more"] if len(mistakes) > _MOST_TOLD else []
            told = [mistake[:200] for mistake in mistakes[:_MOST_TOLD]]
            raise BadRequest("; ".join(told + more)) from None
