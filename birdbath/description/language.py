"""The submit language, read by HTCondor's own parser (`htcondor2.Submit`).

The parser takes one `queue` statement, and has nothing that makes job ads without a Schedd. So the text is
cut at its `queue` statements, each of which is read together with all the commands above it, and expanded job
by job. As with `condor_submit`, a description may read files, the environment, and the output of programs
(`include : PROG |`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from birdbath.description.errors import DescriptionError

_QUEUE = re.compile(r"\s*queue(?=\s|$)", re.IGNORECASE)
_MULTI_LINE = re.compile(r"\s*[\w.+]+\s*@=\s*(\w+)\s*$")
_FOREACH = re.compile(r"(?:^|\s)(?:in|from|matching(?:\s+(?:files|dirs|any))?)(?=[\s(\[])", re.IGNORECASE)
_SLICE = re.compile(r"\s*\[([-\d\s:]*)\]")
_VARIABLES = re.compile(r"(?:^|(?<=\s))[A-Za-z_][\w.]*(?:\s*,\s*[A-Za-z_][\w.]*|\s+[A-Za-z_][\w.]*)*\s*$")
_REFERENCE = re.compile(r"\$\w*\(\s*([A-Za-z_][\w.]*)")
_CHOICE = re.compile(r"\$CHOICE\(", re.IGNORECASE)
_COMPUTED = re.compile(r"\$\w*\([^():]*\$|\$\w*\([^()]*$")
_CALL = re.compile(r"(?<!\$)\$\w+\(\s*([A-Za-z_][\w.]*)")
_INNERMOST = re.compile(r"(?<!\$)\$\(\s*([A-Za-z_][\w.]*)\s*(?::([^()]*))?\)")
_LAST = re.compile(r",\s*([A-Za-z_][\w.]*)\s*\)")

# HTCondor's own variables of a job, set for every job before its commands are expanded.
_CLUSTER = ("Cluster", "ClusterId")
_PROCESS = ("Process", "ProcId")
_SCRATCH = "birdbath_scratch_"

_MOST_STEPS = 10_000
"""Macros that a description may expand whose names are computed; people need a few."""

# What the parser says, and why: it takes a blank line among the items for an item, and then wants none empty.
_MEANT = {"invalid qargs": "an item is empty; take the blank lines out of the list"}


def references(text: str) -> list[str]:
    """The macros in `text`, in lower case, each as often as it is there; perhaps one word too many.

    $CHOICE(INDEX, NAME) names its list last; when that leads back to it, the parser overruns its stack.
    """
    names = _REFERENCE.findall(text)
    if _CHOICE.search(text):
        names += _LAST.findall(text)
    return [name.lower() for name in names]


class Row(NamedTuple):
    """One job of a `queue` statement: its number within its item, the number and variables of the item."""

    step: int
    item: int
    variables: Mapping[str, str]


class QueueStatement:
    """One `queue` statement with the commands that are in force there."""

    def __init__(self, text: str) -> None:
        import htcondor2  # slow to import, and needed by this command only

        try:
            self._submit = htcondor2.Submit(text)
        except ValueError:
            raise DescriptionError(f"this is not the submit language: {_first_wrong_line(text)}") from None
        self.commands: dict[str, str] = dict(self._submit.items())
        self._arguments: str = self._submit.getQArgs() or ""
        _refuse_cycles(self.commands)
        self._computed = _refuse_computed_cycles(self.commands)

    def program(self) -> tuple[str, str]:
        """The executable and universe, as they are written."""
        commands = {name.lower(): value for name, value in self.commands.items()}
        return commands.get("executable", ""), commands.get("universe", "")

    def rows(self) -> Iterator[Row]:
        """The jobs to queue, in order. Raises `DescriptionError` for a count or item list that cannot be
        read.
        """
        arguments = self.expand_text(self._arguments.partition("\n")[0])
        foreach = _FOREACH.search(arguments)
        count = self._count(arguments[: foreach.start()] if foreach else arguments, bool(foreach))
        items = self._items(arguments[foreach.end() :]) if foreach else [{}]
        for index, variables in enumerate(items):
            for step in range(count):
                yield Row(step, index, variables)

    def expand(self, cluster: int, proc: int, row: Row) -> dict[str, str]:
        """The commands of one job, macros expanded, by lower-case name; those that come out empty are left
        out.

        `MY.Attr` (and `+Attr`, which is the same) keep the spelling of `Attr`.
        """
        values = {name: str(cluster) for name in _CLUSTER} | {name: str(proc) for name in _PROCESS}
        values |= {"Step": str(row.step), "Row": str(row.item), "ItemIndex": str(row.item), **row.variables}
        if any("$" in value for value in row.variables.values()):
            _refuse_cycles({**self.commands, **row.variables})
            _refuse_computed_cycles({**self.commands, **values})
        elif self._computed:
            _refuse_computed_cycles({**self.commands, **values})
        for name, value in values.items():
            self._submit[name] = value
        names = [*self.commands, *(name for name in row.variables if name not in self.commands)]
        expanded = ((name, self._expanded(name)) for name in names)
        return {_folded(name): value for name, value in expanded if value}

    def unused(self, known: frozenset[str]) -> list[str]:
        """The commands that are neither known nor used as a macro by others: most likely misspelt."""
        texts = [*self.commands.values(), self._arguments]
        used = {name for text in texts for name in references(text)}
        return [
            name
            for name in self.commands
            if name.lower() not in known | used and not name.lower().startswith(("my.", "request_"))
        ]

    def _expanded(self, name: str) -> str:
        try:
            return str(self._submit.expand(name)).strip()
        except KeyError:  # the parser's word for "expands to nothing"
            return ""

    def expand_text(self, text: str) -> str:
        """Any text with its macros expanded by the commands in force here."""
        if "$" not in text:
            return text
        self._submit[_SCRATCH] = text
        return self._expanded(_SCRATCH)

    def _count(self, text: str, foreach: bool) -> int:
        if foreach and (variables := _VARIABLES.search(text)):
            text = text[: variables.start()]
        if not text.strip():
            return 1
        self._submit[_SCRATCH] = text
        self._submit[_SCRATCH + "count"] = f"$INT({_SCRATCH})"
        number = self._expanded(_SCRATCH + "count")
        if not number.isdecimal():
            raise DescriptionError(f"queue {text.strip()}: that is no number of jobs")
        return int(number)

    def _items(self, rest: str) -> list[dict[str, str]]:
        try:
            items = list(self._submit.itemdata() or ())
        except (ValueError, IndexError) as error:
            said = _MEANT.get(str(error), error)
            raise DescriptionError(f"queue {self._arguments.strip()}: {said}") from None
        rows = [item if isinstance(item, dict) else {"Item": str(item)} for item in items]
        chosen = _SLICE.match(rest)
        return rows[_slice(chosen[1])] if chosen else rows


class Description:
    """A submit description: its `queue` statements in order."""

    def __init__(self, text: str) -> None:
        self.statements = [QueueStatement(section) for section in _sections(text)]
        if not self.statements:
            raise DescriptionError("there is no queue statement: nothing to submit")

    @classmethod
    def read(cls, path: Path) -> Description:
        """The description in a file. Raises `DescriptionError` also for a DAG, which is another language."""
        if path.suffix.lower() == ".dag":
            raise DescriptionError(f"{path} is a DAG; this command takes submit descriptions")
        try:
            return cls(path.read_text(encoding="utf-8-sig"))  # editors on Windows begin with a mark
        except OSError as error:
            raise DescriptionError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise DescriptionError(f"{path} is not text in UTF-8") from None


def _sections(text: str) -> list[str]:
    """For every `queue` statement the commands above it, without the `queue` statements before it."""
    sections: list[str] = []
    commands: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        if _QUEUE.match(line):
            sections.append("\n".join([*commands, line, *_item_list(line, lines), ""]))
            continue
        commands.append(line)
        if multi := _MULTI_LINE.match(line):
            commands.extend(_until(lines, f"@{multi[1]}".__eq__))
        elif line.rstrip().endswith("\\") and not line.lstrip().startswith("#"):
            commands.extend(_until(lines, lambda inner: not inner.endswith("\\")))
    return sections


def _first_wrong_line(text: str) -> str:
    """The first line that does not parse after those above it; the parser does not say where it stops."""
    import htcondor2

    lines = text.splitlines()
    if any(line.lstrip().lower().startswith("include") and "|" in line for line in lines):
        return "a line of it, or what an included program prints"  # not to run the programs again
    for number, line in enumerate(lines, 1):
        try:
            htcondor2.Submit("\n".join([*lines[:number], ""]))
        except ValueError:
            return line.strip()
    return "an if or a multi-line value is not closed"


def _item_list(line: str, lines: Iterator[str]) -> list[str]:
    """The further lines of a `queue` statement: an item list in parentheses, or continued lines."""
    more: list[str] = []
    while line.rstrip().endswith("\\"):
        line = next(lines, "")
        more.append(line)
    if "(" in line and ")" not in line:
        more.extend(_until(lines, lambda inner: inner.startswith(")")))
    return more


def _until(lines: Iterator[str], is_last: Callable[[str], bool]) -> Iterator[str]:
    """The lines up to and including the last one, which is judged without the blanks around it."""
    for line in lines:
        yield line
        if is_last(line.strip()):
            return


def _slice(text: str) -> slice:
    """A slice that the parser has let pass; `itemdata` reads it and does not apply it."""
    return slice(*(int(part) if part.strip() else None for part in text.split(":")))


def _folded(name: str) -> str:
    prefix, dot, attribute = name.partition(".")
    return f"my.{attribute}" if dot and prefix.lower() == "my" else name.lower()


def _refuse_cycles(commands: Mapping[str, str]) -> None:
    """Macros that stand for each other in a circle would keep the parser busy for ever."""
    uses = {name.lower(): set(references(text)) for name, text in commands.items()}
    finished: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise DescriptionError(f"$({name}) stands for itself: {' -> '.join((*above, name))}")
        if name not in finished:
            for used in uses.get(name, ()):
                visit(used, (*above, name))
            finished.add(name)

    for name in uses:
        visit(name, ())


def _refuse_computed_cycles(commands: Mapping[str, str]) -> bool:
    """The same for macros whose names are put together when others are expanded, as in $(output_$(Process)):
    they are expanded as the parser would, but not for ever. Returns whether there are any.
    """
    if not any(map(_COMPUTED.search, commands.values())):
        return False
    texts = {name.lower(): text for name, text in commands.items()}
    steps = 0

    def value(name: str, above: tuple[str, ...]) -> str:
        nonlocal steps
        if name in above:
            raise DescriptionError(f"$({name}) stands for itself: {' -> '.join((*above, name))}")
        text = texts[name]
        for used in map(str.lower, _CALL.findall(text)):  # what is computed here, it takes as it is
            if used in texts:
                value(used, (*above, name))
        while found := _INNERMOST.search(text):
            steps += 1
            if steps > _MOST_STEPS:
                raise DescriptionError(f"{name} takes more than {_MOST_STEPS} steps to expand")
            used = found[1].lower()
            inside = value(used, (*above, name)) if used in texts else found[2] or ""
            text = text[: found.start()] + inside + text[found.end() :]
        return text

    for name in texts:
        value(name, ())
    return True
