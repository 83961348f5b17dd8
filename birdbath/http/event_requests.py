"""What requests about events ask for: query parameters and JSON bodies, checked. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from pydantic import Field

from birdbath.events import Form, form
from birdbath.http.asgi import Scope, header
from birdbath.http.bodies import BadRequest, Body
from birdbath.notify import Filter

LONGEST_WAIT = 300.0
MOST_EVENTS = 1000
LARGEST_BODY = 1 << 20

_ONCE = frozenset({"after", "constraint", "form", "max", "wait", "subscription"})


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
    most = _number("max", values.get("max", "500"))
    if most == 0:
        raise BadRequest("max is at least 1")
    last = header(scope, b"last-event-id").decode("latin-1") or values.get("after")
    return Question(
        Filter.of(topics, values.get("constraint")),
        form(values.get("form", "cloudevents"), source),
        None if last is None else _number("after", last),
        min(most, MOST_EVENTS),
        min(float(_number("wait", values.get("wait", "30"))), LONGEST_WAIT),
        subscription,
    )


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise BadRequest(f"{name} is a whole number, not {text[:40]!r}")
    return int(text)


class NewSubscription(Body):
    """The body of a POST that makes a subscription."""

    kind: Literal["pull", "webhook"] = "pull"
    url: str | None = None
    secret: str | None = None
    form: str = "cloudevents"
    topics: list[str] = Field(default_factory=list)
    constraint: str | None = None
    after: int | None = Field(None, ge=0)
    lease: float | None = Field(None, gt=0)


class SubscriptionChange(Body):
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


class Acknowledgement(Body):
    """The body of a POST that moves a cursor."""

    through: int = Field(ge=0)
