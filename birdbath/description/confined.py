"""Submit descriptions that others wrote, made safe to be read by a server.

HTCondor's parser does what `condor_submit` does for the user who calls it: it includes files, runs programs,
reads the environment. A server must do nothing of that for a description that came from a client. `confined`
makes a text in which continued lines are joined and comments are gone, so that its checks and the parser see
the same lines. It refuses what reaches out of the folder of the description, and what could make the parser
use memory without bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from birdbath.description.errors import DescriptionError
from birdbath.description.language import QueueStatement, references

Reader = Callable[[str], str]
"""The text of a file of the description's folder, by its name; raises DescriptionError when there is none."""

MAX_TEXT = 1_000_000
MAX_EXPANDED = 1_000_000
MAX_JOBS = 20_000
_QUEUE = re.compile(r"queue(?=\s|$)\s*", re.IGNORECASE)
_REFUSED = re.compile(r"(?:(include|use)\b|[\w.+]+\s*(@=))", re.IGNORECASE)
_VARIABLES = re.compile(r"[\w\s,.]*")
_FOREACH = re.compile(r"(?:^|\s)(in|from|matching)(?=[\s(\[]|$)", re.IGNORECASE)
_ITEM_FILE = re.compile(r"\s*(\[[-\d\s:]*\])?\s*(.*)")
# What stands for something else and can neither read the environment nor make a dollar sign that does.
_PLAIN = re.compile(r"\$\$?\(|\$(?:INT|REAL)\(", re.IGNORECASE)
_FUNCTION = re.compile(r"\$(?:F[a-z]*|CHOICE|BASENAME|DIRNAME)\(", re.IGNORECASE)
_DOLLAR = re.compile(r"\$\(\s*DOLLAR\b", re.IGNORECASE)
_TOKEN = re.compile(r"\$+\w*(?:\$*\()?")
_JOINED = re.compile(r"\)\w*\$*\w*\(")
_UNNAMED = re.compile(r"(?<!\$)\$\((?!\s*[\w.]+\s*[):]).{,20}")
_ASSIGNMENT = re.compile(r"([\w.+]+)\s*(?:@?)=\s*(.*)", re.DOTALL)


def confined(text: str, read: Reader, before: str = "", after: str = "") -> str:
    """The description with the lines `before` all its own and `after` them, above its queue statements.

    A description without a queue statement gets one. Raises DescriptionError for what cannot be allowed.
    """
    if len(text) + len(before) + len(after) > MAX_TEXT:
        raise DescriptionError(f"the submit description is longer than {MAX_TEXT} characters")
    commands = [*_logical(before)]
    queues: list[str] = []
    result: list[str] = []
    lines = iter(_logical(text))
    for line in lines:
        if not (queue := _QUEUE.match(line)):
            commands.append(line)
            continue
        if not queues:
            commands.extend(_logical(after))
        _check(commands)
        queues.append(line)
        result += [*commands, _queue(line[queue.end() :], commands, lines, read)]
        commands = []
    if not queues:
        commands.extend(_logical(after))
        _check(commands)
        result = [*commands, "queue"]
    _check_size(result)
    _check_dollars("\n".join(result))
    return "\n".join([*result, ""])


def _logical(text: str) -> Iterator[str]:
    """The lines as the parser sees them: trimmed, continued ones joined, without comments and empty ones."""
    lines = iter(text.replace("\r\n", "\n").split("\n"))
    for line in lines:
        line = line.strip()
        if line.startswith("#"):
            continue
        while line.endswith("\\"):
            line = line[:-1] + next(lines, "").strip()
        if line:
            yield line


def _check(lines: list[str]) -> None:
    for line in lines:
        if refused := _REFUSED.match(line):
            word = (refused[1] or refused[2]).lower()
            raise DescriptionError(f"{word} is not allowed in a submit description on a server")
        if line.splitlines() != [line] or "\0" in line:
            raise DescriptionError("a control character is not allowed in a submit description")


def _check_items(lines: list[str]) -> None:
    """Items stand in lines of their own: none may be taken for a command or the end of them."""
    _check(lines)
    for line in lines:
        if _QUEUE.match(line) or line.startswith(")") or line.endswith("\\"):
            raise DescriptionError(f"queue: this cannot stand in a line of items: {line[:60]}")
    if len(lines) > MAX_JOBS:
        raise DescriptionError(f"queue: more than {MAX_JOBS} items")


def _check_dollars(text: str) -> None:
    """No text may become a call of a function such as $ENV() when macros in it are expanded.

    A dollar sign that begins no macro, as in $HOME, is harmless as long as nothing that is put together from
    several macros can follow it.
    """
    if unnamed := _UNNAMED.search(text):  # put together, it could name itself, and the parser never end
        raise DescriptionError(f"{unnamed[0]}: the name of a macro has to stand there as a whole")
    functions = bool(_FUNCTION.search(text))
    bare = False
    for match in _TOKEN.finditer(text):
        if _PLAIN.fullmatch(match[0]) or _FUNCTION.fullmatch(match[0]):
            continue
        if match[0].endswith(("(", "$(")):
            raise DescriptionError(f"{match[0]} is not allowed in a submit description on a server")
        bare = True
    if functions and (bare or _DOLLAR.search(text)):
        raise DescriptionError("no dollar sign is allowed together with functions such as $Fn()")
    if bare and (joined := _JOINED.search(text)):
        raise DescriptionError(
            f"{joined[0]}: no macro may stand there while a dollar sign stands alone elsewhere"
        )


def _queue(arguments: str, commands: list[str], lines: Iterator[str], read: Reader) -> str:
    """A queue statement that reads no file: with its items in it, and a number where a macro stood for it."""
    foreach = _FOREACH.search(arguments)
    count = arguments[: foreach.start()] if foreach else arguments
    if "$" in count:
        if foreach:
            raise DescriptionError(f"queue {arguments}: no macro is allowed before its items")
        count = _number(count, commands)
    if not _VARIABLES.fullmatch(count):
        raise DescriptionError(f"queue {arguments}: this is no number of jobs")
    if foreach is None:
        return f"queue {count}"
    kind, rest = foreach[1].lower(), arguments[foreach.end() :]
    if kind == "matching":
        raise DescriptionError("queue matching is not allowed in a submit description on a server")
    match = _ITEM_FILE.match(rest)
    assert match is not None  # it matches everything
    chosen, items = match[1] or "", match[2]
    if items.startswith("("):
        body = _until_closed(items, lines)
    elif kind == "in":
        body = [items]
    else:
        body = _item_lines(items, read)
    _check_items(body)
    return "\n".join([f"queue {count} {kind} {chosen} (", *body, ")"])


def _until_closed(items: str, lines: Iterator[str]) -> list[str]:
    inside, closed, _ = items[1:].partition(")")
    if closed:
        return [inside.strip()]
    body = [inside.strip()] if inside.strip() else []
    for line in lines:
        if line.startswith(")"):
            return body
        body.append(line)
    raise DescriptionError("queue: the list of items is not closed")


def _item_lines(name: str, read: Reader) -> list[str]:
    if "|" in name or "$" in name or name.startswith("<"):
        raise DescriptionError(f"queue from {name}: only a file may follow")
    return [line for line in map(str.strip, read(name).split("\n")) if line and not line.startswith("#")]


def _number(text: str, commands: list[str]) -> str:
    _check_dollars("\n".join([*commands, text]))
    _check_size([*commands, f"count = {text}"])
    expanded = QueueStatement("\n".join([*commands, "queue", ""])).expand_text(text)
    if not expanded.isdecimal():
        raise DescriptionError(f"queue {text.strip()}: that is no number of jobs")
    return expanded


def _check_size(lines: list[str]) -> None:
    """Macros that stand for macros that stand for macros: the text must stay small when all are expanded."""
    values: dict[str, str] = {}
    for line in lines:
        if match := _ASSIGNMENT.match(line):
            name = match[1].lower()
            values[name] = values.get(name, "") + match[2]

    @cache
    def size(name: str, depth: int) -> int:
        if depth > 100:
            raise DescriptionError(f"$({name}): macros are nested too deep")
        text = values.get(name, "")
        uses = (size(used, depth + 1) for used in references(text) if used != name)
        total = len(text) + sum(uses)
        if total > MAX_EXPANDED:
            raise DescriptionError(f"{name} is longer than {MAX_EXPANDED} characters when it is expanded")
        return total

    for name in values:
        size(name, 0)


def macros(values: Mapping[str, str]) -> str:
    """Lines that set macros. Raises DescriptionError for a value with a line break."""
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise DescriptionError(f"{name}: a line break is not allowed")
    return "".join(f"{name} = {value}\n" for name, value in values.items())
