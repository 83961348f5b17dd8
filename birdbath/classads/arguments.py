"""HTCondor's V2 "raw" argument syntax: blanks separate, single quotes group, a doubled single quote is a
literal one.
"""

from __future__ import annotations

_BLANKS = " \t\n\r"


class UnbalancedQuotes(ValueError):
    """A quoted section does not end."""


def parse(text: str) -> list[str]:
    """The arguments in `text`. Raises UnbalancedQuotes."""
    arguments: list[str] = []
    current: list[str] | None = None
    quoted = False
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "'":
            current = current if current is not None else []
            if quoted and text[position : position + 1] == "'":
                current.append("'")
                position += 1
            else:
                quoted = not quoted
        elif character in _BLANKS and not quoted:
            if current is not None:
                arguments.append("".join(current))
            current = None
        else:
            current = current if current is not None else []
            current.append(character)
    if quoted:
        raise UnbalancedQuotes(f"Unbalanced single quote in arguments: {text[:80]}")
    if current is not None:
        arguments.append("".join(current))
    return arguments


def join(arguments: list[str]) -> str:
    """The normal form of `arguments`: quoted only where needed; `parse` gives them back."""
    return " ".join(_quoted(argument) for argument in arguments)


def _quoted(argument: str) -> str:
    if argument and not any(character in argument for character in _BLANKS + "'"):
        return argument
    return "'" + argument.replace("'", "''") + "'"
