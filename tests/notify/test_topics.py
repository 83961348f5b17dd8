"""Topic patterns: AMQP's rules, and what is refused as nonsense."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdbath.notify.topics import InvalidTopic, Topic, checked_topic

KEY = "job.held.ann.12.0"


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("job.held.ann.12.0", KEY, True),
        ("job.*.*.*.*", KEY, True),
        ("job.#", KEY, True),
        ("#", KEY, True),
        ("#.0", KEY, True),
        ("job.#.12.#", KEY, True),
        ("job.#.#.12.0.#", KEY, True),
        ("*.*.*.*", KEY, False),
        ("job.*", KEY, False),
        ("job.release.#", KEY, False),
        ("#.13.#", KEY, False),
        ("#", "", True),
        ("*", "", False),
        ("", "", True),
        ("", "a", False),
        ("*", "a.", False),
        ("*.*", "a.", True),
        ("a.#", "a", True),
        ("he*", "held", False),
        ("he*", "he*", True),
        ("##", "a", False),
    ],
)
def test_a_pattern_matches_as_a_broker_says(pattern: str, key: str, expected: bool) -> None:
    assert Topic(pattern).matches(key) is expected


def by_regular_expression(pattern: str, key: str) -> bool:
    """The same rules as another program: every word followed by a dot."""
    parts = {"*": r"[^.]*\.", "#": r"(?:[^.]*\.)*"}
    words = pattern.split(".") if pattern else []
    expression = "".join(parts.get(word, re.escape(word + ".")) for word in words)
    return re.fullmatch(expression, key + "." if key else "") is not None


words = st.lists(st.sampled_from(["a", "b", "*", "#", ""]), max_size=6).map(".".join)
keys = st.lists(st.sampled_from(["a", "b", ""]), max_size=6).map(".".join)


@given(words, keys)
def test_two_programs_agree(pattern: str, key: str) -> None:
    assert Topic(pattern).matches(key) is by_regular_expression(pattern, key)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("job.hold.#", "there is no event 'hold'; the events are aborted, "),
        ("job.he*.#", "mixes letters with * or #"),
        ("job.held", "a routing key has five words"),
        ("job.*.*.*.*.*", "a routing key has five words"),
        ("jobs.#", "the first word of a routing key is 'job'"),
        ("", "a routing key has five words"),
        ("job.#." + "x" * 255, "longer than 255 bytes"),
    ],
)
def test_a_pattern_that_can_match_nothing_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(InvalidTopic, match=re.escape(said)):
        checked_topic(pattern)


@pytest.mark.parametrize("pattern", ["#", "job.#", "*.held.*.*.*", "job.event_99.#", "#.12.0", "#.held.#"])
def test_others_are_taken(pattern: str) -> None:
    assert checked_topic(pattern).pattern == pattern
