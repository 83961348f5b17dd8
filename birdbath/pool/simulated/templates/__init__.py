"""The attribute sets of daemon ads, as text in old ClassAd syntax with `%NAME%` for what differs from pool to
pool.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from birdbath.classads import Ad, canonical_value

_PLACEHOLDER = re.compile(r"%([A-Z]+)%")
_LITERAL_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*\Z', re.DOTALL)


@cache
def _lines(name: str) -> tuple[tuple[str, str], ...]:
    text = files(__package__).joinpath(f"{name}.ad").read_text("utf-8")
    pairs = (line.partition(" = ") for line in text.splitlines() if line)
    return tuple((attribute, value) for attribute, _, value in pairs)


def daemon_ad(
    template: str, my_type: str, values: Mapping[str, str | int], target_type: str | None = None
) -> Ad:
    """A new ad from the template of that name, with `values` in place of its placeholders.

    MyType, and TargetType if given, come first.
    """
    ad = Ad()
    ad.set("MyType", my_type)
    if target_type is not None:
        ad.set("TargetType", target_type)
    for name, text in _lines(template):
        text = _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)
        string = _LITERAL_STRING.match(text)
        if string is not None:
            ad.put(name, "s", string[1].replace('\\"', '"'))
        else:
            ad.put(name, *canonical_value(text))
    return ad
