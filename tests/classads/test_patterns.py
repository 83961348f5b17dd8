"""Regular expressions that could stall the server are refused; those of real pools are not."""

from __future__ import annotations

import pytest

from birdbath.classads import Constraint, attribute_from_item
from birdbath.classads.costs import TooCostly


@pytest.mark.parametrize(
    "pattern",
    [
        "^slot1(_[0-9]+)?@",
        "(?i)^node[0-9]{2,4}\\.example\\.org$",
        "a|b|c",
        "^(x|y)z*$",
        "[(+*)+]+",
        "\\(a+\\)+",
    ],
)
def test_patterns_of_real_pools(pattern: str) -> None:
    Constraint(f'regexp("{pattern}", Name)')


@pytest.mark.parametrize(
    "text",
    [
        'regexp("^(a+)+$", S)',
        'regexp("^(a|aa)*$", S)',
        'regexp("((a*))*", S)',
        'regexp("(x(a+)y){2,}", S)',
        'regexp(".*.*.*.*.*x", S)',
        'REGEXP  ( "(a*)*", S)',
        'replaceall("(a+)+$", S, "b")',
        'regexps("(a+)+$", S, "b")',
        'regexpMember("(a+)+$", {"a"})',
        'regexp(strcat("^(a+", ")+$"), S)',
        "regexp(Pattern, S)",
    ],
)
def test_patterns_that_may_take_long(text: str) -> None:
    with pytest.raises(TooCostly):
        Constraint(text)
    with pytest.raises(TooCostly):
        attribute_from_item("Requirements", "x", text)
