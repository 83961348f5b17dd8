"""The DAG language, one statement at a time: from text to keywords and their operands. No I/O.

Statements and their meaning are those of HTCondor's manual, "DAG file description language". What a statement
does to the graph is in `reading`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from birdbath.dagman.errors import DagError
from birdbath.dagman.graph import Script, Variable

_VARIABLE = re.compile(r'\s*(?P<name>[^\s="]+)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"(?=\s|$)')
_ESCAPE = re.compile(r"\\(.)")
_HEREDOC = re.compile(r"@=\s*(\w+)\Z")
_NAME = re.compile(r"(?:\+|[Mm][Yy]\.)?[A-Za-z_][\w.]*\Z")
_DEBUG_STREAMS = frozenset({"STDOUT", "STDERR", "ALL"})


@dataclass(frozen=True)
class Statement:
    """One statement: its keyword in capitals, what follows, an inline submit description, its place."""

    keyword: str
    operands: str
    block: str | None
    file: str
    line: int

    @property
    def words(self) -> list[str]:
        """The operands, split at blanks."""
        return self.operands.split()

    def error(self, why: str) -> DagError:
        """An error at this place."""
        return DagError(f"{self.file}, line {self.line}: {self.keyword}: {why}")

    def need(self, least: int, usage: str) -> list[str]:
        """The words, of which there must be `least`. Raises DagError."""
        words = self.words
        if len(words) < least:
            raise self.error(f"expected {self.keyword} {usage}")
        return words

    def integer(self, word: str, what: str) -> int:
        """A word that must be a whole number. Raises DagError."""
        try:
            return int(word)
        except ValueError:
            raise self.error(f"{what} is not a whole number: {word}") from None


def statements(text: str, file: str) -> Iterator[Statement]:
    """The statements of a DAG file. Raises DagError for a block that is not closed."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        line = line.strip()
        while line.endswith("\\") and not line.startswith("#"):
            line = (line[:-1].rstrip() + " " + next(lines, (0, ""))[1].strip()).strip()
        if not line or line.startswith("#"):
            continue
        keyword, *rest = line.split(None, 1)
        operands, block = _block(rest[0] if rest else "", lines, file, number)
        yield Statement(keyword.upper().replace("-", "_"), operands, block, file, number)


def _block(operands: str, lines: Iterator[tuple[int, str]], file: str, number: int) -> tuple[str, str | None]:
    """The operands without the inline description that follows them, and its text."""
    if operands.endswith("{") and (operands == "{" or operands[-2].isspace()):
        end, operands = "}", operands[:-1].rstrip()
    elif heredoc := _HEREDOC.search(operands):
        end, operands = f"@{heredoc[1]}", operands[: heredoc.start()].rstrip()
    else:
        return operands, None
    block: list[str] = []
    for _, line in lines:
        if line.strip() == end:
            return operands, "\n".join(block)
        block.append(line)
    raise DagError(f"{file}, line {number}: the inline submit description is not closed by {end}")


def variables(statement: Statement, text: str) -> list[Variable]:
    """The macros of a VARS statement, from behind the node's name. Raises DagError."""
    append = False
    first, _, rest = text.strip().partition(" ")
    if first.upper() in ("PREPEND", "APPEND"):
        append, text = first.upper() == "APPEND", rest
    found: list[Variable] = []
    position = 0
    while text[position:].strip():
        match = _VARIABLE.match(text, position)
        if match is None:
            raise statement.error(f'expected name="value", found: {text[position:].strip()}')
        name = match["name"]
        if not _NAME.match(name) or name.lower().startswith("queue"):
            raise statement.error(f"{name} is no name for a macro")
        found.append(Variable(name, _ESCAPE.sub(r"\1", match["value"]), append))
        position = match.end()
    if not found:
        raise statement.error('expected name="value"')
    return found


def script(statement: Statement) -> tuple[str, Script]:
    """The node's name and the script of a SCRIPT statement. Raises DagError."""
    words = statement.words
    while words and words[0].upper() in ("DEFER", "DEBUG"):
        if words[0].upper() == "DEBUG" and (len(words) < 3 or words[2].upper() not in _DEBUG_STREAMS):
            raise statement.error("expected DEBUG file STDOUT, STDERR or ALL")
        words = words[3:]
    if len(words) < 3 or words[0].upper() not in ("PRE", "POST", "HOLD"):
        raise statement.error("expected PRE, POST or HOLD, a node and a command")
    return words[1], Script(words[0].upper(), " ".join(words[2:]))
