"""Filters: which events a follower gets. No I/O.

An event passes when one of the topic patterns matches its routing key (or there are none) and the ClassAd
constraint is true. The constraint sees the event's attributes and those of its job, the event's where both
have one; `Job.Name` is the job's own. The job's ad is the current one, or the last if it left the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import orjson

from birdbath.classads import Ad, CompiledAd, Constraint, is_true
from birdbath.errors import BirdbathError, InvalidAd
from birdbath.events import EventType, event_name
from birdbath.events.attributes import is_event_attribute
from birdbath.notify.entries import Entry
from birdbath.notify.topics import Topic, checked_topic

MOST_TOPICS = 100
_JOB_AD_INFORMATION = event_name(EventType.JOB_AD_INFORMATION)


class InvalidFilter(BirdbathError):
    """The filter is nonsense; the text says what of it."""


@dataclass(frozen=True)
class Filter:
    """Topic patterns, any of which may match, and a constraint; the empty filter passes everything.

    Made by `Filter.of`, which refuses nonsense.
    """

    topics: tuple[str, ...] = ()
    constraint: str = ""
    _topics: tuple[Topic, ...] = field(default=(), repr=False, compare=False)
    _condition: _Condition | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, topics: Iterable[str] = (), constraint: str | None = None) -> Filter:
        """The filter. Raises InvalidFilter or InvalidTopic when it is nonsense."""
        patterns = tuple(dict.fromkeys(topics))
        if len(patterns) > MOST_TOPICS:
            raise InvalidFilter(f"A filter has at most {MOST_TOPICS} topics, not {len(patterns)}")
        compiled = tuple(map(checked_topic, patterns))
        condition = _condition(constraint)
        return cls(patterns, condition.constraint.text if condition else "", compiled, condition)

    @classmethod
    def from_json(cls, text: str | bytes) -> Filter:
        """The filter that `to_json` wrote, or a client in the same form: `{"topics": [...], "constraint":
        "..."}`.

        Raises InvalidFilter or InvalidTopic.
        """
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InvalidFilter(f"The filter is not JSON: {error}") from None
        return cls.from_value(value)

    @classmethod
    def from_value(cls, value: object) -> Filter:
        """The same from what JSON holds; null is the empty filter."""
        if value is None:
            return cls.of()
        if not isinstance(value, Mapping) or value.keys() - {"topics", "constraint"}:
            raise InvalidFilter('A filter is an object with "topics", a list, and "constraint", a text')
        topics, constraint = value.get("topics"), value.get("constraint")
        topics = [topics] if isinstance(topics, str) else topics or []
        if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
            raise InvalidFilter('"topics" of a filter is a list of texts')
        if constraint is not None and not isinstance(constraint, str):
            raise InvalidFilter('"constraint" of a filter is a text')
        return cls.of(topics, constraint)

    def to_json(self) -> str:
        """The filter as text, to be kept or sent."""
        return orjson.dumps(self.value()).decode()

    def value(self) -> dict[str, object]:
        """The filter as what JSON holds."""
        return {"topics": list(self.topics), "constraint": self.constraint}

    def topics_alone(self) -> Filter:
        """The filter without its constraint."""
        return replace(self, constraint="", _condition=None)

    def without_jobs(self) -> Filter:
        """The filter, where events come without their jobs. Raises InvalidFilter when its constraint looks
        at more than events have of their own: nothing would pass, or the wrong.
        """
        told = {topic.split(".")[1:2] == [_JOB_AD_INFORMATION] for topic in self.topics}
        if self._condition is None or told == {True}:  # such events bring attributes of their job
            return self
        others = [n for n in self._condition.constraint.references() if not is_event_attribute(n)]
        if others:
            raise InvalidFilter(
                f"The constraint looks at {', '.join(sorted(others)[:5])}, no attribute of an event: a "
                "broker brings no jobs. Listen to a server, which knows them, or choose by topics"
            )
        return self

    def passes(self, entry: Entry) -> bool:
        """Whether the event passes; a constraint that cannot be evaluated on it does not let it pass."""
        if self._topics and not any(topic.matches_words(entry.words) for topic in self._topics):
            return False
        return self._condition is None or self._condition.holds(entry)


@dataclass(frozen=True)
class _Condition:
    constraint: Constraint
    evaluate: Callable[[CompiledAd], object]

    def holds(self, entry: Entry) -> bool:
        return self.constraint.affords(entry.costs) and is_true(self.evaluate(entry.scope))


def _condition(constraint: str | None) -> _Condition | None:
    try:
        parsed = Constraint(constraint)
        if parsed.selects_all:
            return None
        evaluate = parsed.evaluator()
        alone = evaluate(Ad().compiled())
    except InvalidAd as error:
        raise InvalidFilter(f"The constraint is {error}") from None
    if isinstance(alone, str):
        raise InvalidFilter(f"The constraint is a text, no condition: {parsed.text[:80]}")
    if not parsed.references() and type(alone) not in (bool, int, float):
        raise InvalidFilter(f"The constraint is true of no event: {parsed.text[:80]}")
    return _Condition(parsed, evaluate)
