"""Arguments, environments and quantities of a submit description, as the job ad holds them."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Iterable, Mapping

from birdbath.classads.arguments import UnbalancedQuotes, join, parse
from birdbath.description.errors import DescriptionError
from birdbath.values import AdValue, Expression

_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([KMGTP]?)I?B?\s*\Z", re.IGNORECASE)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def quantity(text: str, base: str) -> AdValue:
    """A size such as `2GB` in units of `base` ("K" or "M"), rounded up; a bare number is in them already.

    Anything else is an expression.
    """
    match = _QUANTITY.match(text)
    if not match:
        return Expression(text)
    unit = match[2].upper() or base
    return math.ceil(float(match[1]) * 1024.0 ** (_POWERS[unit] - _POWERS[base]))


def remaps(text: str) -> list[tuple[str, str]]:
    """The names and paths of transfer_output_remaps, `name=path` separated by semicolons, without the blanks
    that people put around them; what is no pair is left out.
    """
    parts = [part.partition("=") for part in text.strip().strip('"').split(";")]
    return [(name.strip(), path.strip()) for name, sign, path in parts if sign]


def arguments(text: str) -> str:
    """The `arguments` command in V2 syntax without the outer quotes, as `Arguments` holds it.

    In double quotes the command is in the new syntax already; without them in the old one, where blanks
    separate, nothing groups, and a double quote has a backslash before it. Raises `DescriptionError` for
    quotes that do not match.
    """
    if _is_new(text):
        raw = _unwrapped("arguments", text)
        _split(raw)  # only to refuse what is unbalanced
        return raw
    if re.search(r'(?<!\\)"', text):
        raise DescriptionError(f"arguments: a double quote without a backslash before it: {text}")
    return join([word.replace('\\"', '"') for word in text.split()])


def environment(text: str, inherited: Mapping[str, str]) -> str:
    """The `environment` command in V2 syntax, as `Environment` holds it; its own settings win over
    `inherited`.
    """
    words = _split(_unwrapped("environment", text)) if _is_new(text) else _old_environment(text)
    settings = dict(inherited)
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise DescriptionError(f"environment: {word!r} is not NAME=VALUE")
        settings[name] = value
    return join([f"{name}={value}" for name, value in settings.items()])


def inherited(getenv: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What `getenv` takes over from our own environment: all, nothing, or a list of names with `*`.

    Variables with a line break are left out: a job ad cannot hold one.
    """
    fitting = {name: value for name, value in variables.items() if "\n" not in value and "\r" not in value}
    if getenv.lower() in ("false", "no", "f", "0", ""):
        return {}
    if getenv.lower() in ("true", "yes", "t", "1"):
        return fitting
    patterns = [part for part in re.split(r"[,\s]+", getenv) if part]
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return {n: v for n, v in fitting.items() if _fits(n, wanted) and not _fits(n, unwanted)}


def names(text: str) -> list[str]:
    """A list of file names: separated by commas."""
    return [name for part in text.split(",") if (name := part.strip().strip('"').strip())]


def _split(text: str) -> list[str]:
    try:
        return parse(text)
    except UnbalancedQuotes:
        raise DescriptionError(f"a single quote is not closed: {text}") from None


def _is_new(text: str) -> bool:
    return text.startswith('"')


def _unwrapped(command: str, text: str) -> str:
    inner = text[1:-1]
    if len(text) < 2 or not text.endswith('"') or '"' in inner.replace('""', ""):
        raise DescriptionError(f"{command}: the double quotes do not match: {text}")
    return inner.replace('""', '"')


def _old_environment(text: str) -> list[str]:
    return [setting.strip() for setting in text.split(";") if setting.strip()]


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
