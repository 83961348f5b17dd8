"""The simplest shell scripts: known commands in sequence, with plain redirections. Anything else is not
understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from birdbath.pool.simulated.programs import PROGRAMS, Piece, Process

_NOT_UNDERSTOOD = re.compile(r"[$`*?\[\]{}()~\\]")
_EXIT_CODE = re.compile(r"[0-9]{1,9}\Z")
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+|\#[^\n]*)
    |(?P<descriptor>[0-9]+(?=[<>]))
    |(?P<operator>[;&|<>\n]+)
    |(?P<word>(?:[^ \t\r\n;&|<>'"]|'[^']*'|"[^"]*")+)""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_CONNECTORS = frozenset({";", "&&", "||"})
_REDIRECTIONS = frozenset({"<", ">", ">>", ">&"})
MAX_SCRIPT = 64 * 1024


@dataclass
class _Command:
    """One command: its words, its redirections, and the connector before it."""

    connector: str
    words: list[str] = field(default_factory=list)
    redirections: list[tuple[str, str]] = field(default_factory=list)


def script_text(head: bytes) -> str | None:
    """The script in an uploaded file's first bytes, if it is one for sh or bash, without its comments."""
    first, _, _ = head.partition(b"\n")
    if len(head) >= MAX_SCRIPT or not re.match(rb"#!\s*/(usr/)?bin/(env )?(ba|da)?sh\b", first):
        return None
    try:
        lines = head.decode().splitlines()
    except UnicodeDecodeError:
        return None
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def run_script(process: Process, text: str) -> int | None:
    """Run a script to its end; its exit code, or None, `process` untouched, when it is not understood."""
    commands = _parse(text)
    if commands is None or not all(_known(command) for command in commands):
        return None
    status = 0
    for command in commands:
        if (command.connector == "&&" and status != 0) or (command.connector == "||" and status == 0):
            continue
        if command.words[0] == "exit":
            return int(command.words[1]) % 256 if len(command.words) == 2 else status
        status = _run(process, command)
    return status


def _known(command: _Command) -> bool:
    if not command.words:
        return False
    name = command.words[0].rpartition("/")[2]
    if command.words[0] == "exit":
        codes = command.words[1:]
        return len(codes) <= 1 and all(map(_EXIT_CODE.match, codes))
    return name in PROGRAMS


def _parse(text: str) -> list[_Command] | None:
    if _NOT_UNDERSTOOD.search(text):
        return None
    tokens = _tokens(text.strip())
    return None if tokens is None else _commands(tokens)


def _tokens(text: str) -> list[tuple[bool, str]] | None:
    """The operators (True) and unquoted words (False) of a script; None when it redirects a descriptor by its
    number (`2>&1` mixes streams in an order that only a run would tell) or leaves a quote open.
    """
    found: list[tuple[bool, str]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup == "descriptor":
            return None
        position = match.end()
        if match.lastgroup == "operator":
            found.append((True, match[0]))
        elif match.lastgroup == "word":
            found.append((False, _QUOTED.sub(lambda quoted: quoted[1] or quoted[2] or "", match[0])))
    return found


def _commands(tokens: Sequence[tuple[bool, str]]) -> list[_Command] | None:
    commands = [_Command(";")]
    following = iter(tokens)
    for is_operator, token in following:
        if not is_operator:
            commands[-1].words.append(token)
        elif set(token) <= {";", "\n"}:
            commands.append(_Command(";"))
        elif token in _CONNECTORS:
            commands.append(_Command(token))
        elif token in _REDIRECTIONS:
            is_operator, target = next(following, (True, ""))
            if is_operator or not _redirect(commands[-1], token, target):
                return None
        else:
            return None
    return [
        command for command in commands if command.words or command.redirections or command.connector != ";"
    ]


def _redirect(command: _Command, operator: str, target: str) -> bool:
    if operator == ">&":
        if target not in ("1", "2"):
            return False
        operator, target = ">", "&" + target
    command.redirections.append((operator, target))
    return True


def _run(process: Process, command: _Command) -> int:
    stdin, stdout = process.stdin, process.stdout
    name = command.words[0].rpartition("/")[2]
    try:
        for operator, target in command.redirections:
            if operator == "<":
                content = process.read(target)
                if content is None:
                    return process.complain(f"sh: cannot open {target}: No such file")
                process.stdin = content
            else:
                process.stdout = _target(process, stdout, operator, target)
        return PROGRAMS[name](process, command.words[1:])
    finally:
        process.stdin, process.stdout = stdin, stdout


def _target(process: Process, stdout: list[Piece], operator: str, target: str) -> list[Piece]:
    if target in ("&1", "&2"):
        return stdout if target == "&1" else process.stderr
    if target == "/dev/null":
        return []
    return process.open_end(target) if operator == ">>" else process.open_new(target)
