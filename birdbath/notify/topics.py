"""Topic patterns on routing keys, as an AMQP topic exchange applies them. No I/O.

Words are separated by dots. `*` stands for exactly one word, `#` for any number of them, none included; only
as a whole word, elsewhere they are letters like others. An empty key, or pattern, has no words.
"""

from __future__ import annotations

from birdbath.errors import BirdbathError
from birdbath.events import EventType, event_name

LONGEST_PATTERN = 255
"""Bytes of a pattern or a routing key that AMQP can carry."""

_KEY_WORDS = 5
_EVENTS = frozenset(event_name(kind) for kind in EventType if kind is not EventType.NONE)


class InvalidTopic(BirdbathError):
    """The topic pattern can match no event."""


class Topic:
    """One pattern. `matches` agrees with RabbitMQ's topic exchange for every pattern and key."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._words = _words(pattern)
        self._plain = "#" not in self._words

    def matches(self, key: str) -> bool:
        """Whether a message with this routing key passes."""
        return self.matches_words(_words(key))

    def matches_words(self, words: list[str]) -> bool:
        """The same for a key that is split already."""
        if self._plain:
            return len(words) == len(self._words) and all(
                wanted in ("*", word) for wanted, word in zip(self._words, words, strict=True)
            )
        return self._matches_many(words)

    def _matches_many(self, words: list[str]) -> bool:
        # Every place in the key that the pattern so far may have reached: no pattern costs more than
        # its words times the key's.
        reached = {0}
        for wanted in self._words:
            if wanted == "#":
                reached = set(range(min(reached), len(words) + 1))
            else:
                reached = {at + 1 for at in reached if at < len(words) and wanted in ("*", words[at])}
            if not reached:
                return False
        return len(words) in reached


def _words(text: str) -> list[str]:
    return text.split(".") if text else []


def key_words(key: str) -> list[str]:
    """The words of a routing key, for `Topic.matches_words`."""
    return _words(key)


def checked_topic(pattern: str) -> Topic:
    """The pattern, if some event's routing key, `job.<event>.<owner>.<cluster>.<proc>`, can match it.

    Raises InvalidTopic: a pattern that never matches is a mistake, which a broker would keep to itself.
    """
    if len(pattern.encode()) > LONGEST_PATTERN:
        raise InvalidTopic(f"A topic pattern is longer than {LONGEST_PATTERN} bytes: {pattern[:40]}...")
    words = _words(pattern)
    for word in words:
        if word not in ("*", "#") and ("*" in word or "#" in word):
            raise InvalidTopic(
                f"Topic {pattern!r}: {word!r} mixes letters with * or #, which stand for whole words"
            )
    _check_length(pattern, words)
    _check_head(pattern, words)
    _check_ids(pattern, words)
    return Topic(pattern)


def _check_length(pattern: str, words: list[str]) -> None:
    needed = sum(word != "#" for word in words)
    if needed > _KEY_WORDS or (needed < _KEY_WORDS and "#" not in words):
        raise InvalidTopic(
            f"Topic {pattern!r} can match nothing: a routing key has five words,"
            " job.<event>.<owner>.<cluster>.<proc>"
        )


def _check_ids(pattern: str, words: list[str]) -> None:
    for word in reversed(words[-2:]):
        if word == "#":
            return
        if word != "*" and not word.removeprefix("-").isdecimal():
            raise InvalidTopic(
                f"Topic {pattern!r} can match nothing: the last two words of a routing key are the numbers of"
                f" a cluster and a proc, not {word!r}"
            )


def _check_head(pattern: str, words: list[str]) -> None:
    if words[0] not in ("job", "*", "#"):
        raise InvalidTopic(f"Topic {pattern!r} can match nothing: the first word of a routing key is 'job'")
    if "#" in words[:2] or words[1] == "*":
        return
    if words[1] not in _EVENTS and not words[1].startswith("event_"):
        raise InvalidTopic(
            f"Topic {pattern!r}: there is no event {words[1]!r}; the events are {', '.join(sorted(_EVENTS))}"
        )
