"""What requests about events ask for: query parameters and JSON bodies, checked. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from birdbath.errors import BirdbathError
from birdbath.events import Form, form
from birdbath.http.asgi import Scope, header
from birdbath.notify import Filter

LONGEST_WAIT = 300.0
MOST_EVENTS = 1000
LARGEST_BODY = 1 << 20

_ONCE = frozenset({"after", "constraint", "form", "max", "wait", "subscription"})


class BadRequest(BirdbathError):
    """The request asks for nothing that there is; the text says what is wrong with it."""


@dataclass(frozen=True)
class Question:
    """What a GET of the event stream asks for; `after` None: not said."""

    filter: Filter
    form: Form
    after: int | None
    most: int
    wait: float
    subscription: str | None


def question(scope: Scope, source: str) -> Question:
    """Read the query of a request for events. Raises BirdbathError with what is wrong."""
    text = scope.get("query_string", b"").decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=200)
    except ValueError:
        raise BadRequest("The query of the URL cannot be read") from None
    topics = [value for name, value in pairs if name == "topic"]
    values: dict[str, str] = {}
    for name, value in pairs:
        if name != "topic" and (name not in _ONCE or name in values):
            known = "topic (any number of times), " + ", ".join(sorted(_ONCE))
            raise BadRequest(f"Unknown or repeated parameter {name[:40]!r}; there are {known}")
        values[name] = value
    subscription = values.get("subscription")
    if subscription is not None and (topics or "constraint" in values):
        raise BadRequest("A subscription has its own filter: update it, or follow without the subscription")
    last = header(scope, b"last-event-id").decode("latin-1") or values.get("after")
    return Question(
        Filter.of(topics, values.get("constraint")),
        form(values.get("form", "cloudevents"), source),
        None if last is None else _number("after", last),
        min(_number("max", values.get("max", "500")) or 1, MOST_EVENTS),
        min(float(_number("wait", values.get("wait", "30"))), LONGEST_WAIT),
        subscription,
    )


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadRequest(f"{name} is a whole number, not {text[:40]!r}")
    return int(text)


_MOST_TOLD = 5
"""Mistakes of a body that are told; there may be as many as it has fields."""


class _Body(BaseModel):
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


class NewSubscription(_Body):
    """The body of a POST that makes a subscription."""

    kind: Literal["pull", "webhook"] = "pull"
    url: str | None = None
    secret: str | None = None
    form: str = "cloudevents"
    topics: list[str] = Field(default_factory=list)
    constraint: str | None = None
    after: int | None = Field(None, ge=0)
    lease: float | None = Field(None, gt=0)


class SubscriptionChange(_Body):
    """The body of a PATCH: another filter (both parts of it), another lease, or both."""

    topics: list[str] | None = None
    constraint: str | None = None
    lease: float | None = Field(None, gt=0)

    @property
    def filter(self) -> Filter | None:
        """The new filter, if there is to be one."""
        if not {"topics", "constraint"} & self.model_fields_set:
            return None
        return Filter.of(self.topics or (), self.constraint)


class Acknowledgement(_Body):
    """The body of a POST that moves a cursor."""

    through: int = Field(ge=0)
