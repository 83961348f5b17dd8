"""What the everyday commands have in common: options, errors in one line, exit codes."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer
from typer.core import TyperCommand

from birdbath.errors import BirdbathError

REFUSED = 1
UNREACHABLE = 3
INTERRUPTED = 130

DEFAULT_URL = "http://127.0.0.1:8080"


def _address(url: str) -> str:
    from birdbath.client import InvalidValue
    from birdbath.client.wire import check_address

    try:
        check_address(url)
    except InvalidValue as error:
        raise typer.BadParameter(str(error)) from None
    return url


Url = Annotated[
    str,
    typer.Option(
        "--url", envvar="BIRDBATH_URL", help="Address of the server.", metavar="URL", callback=_address
    ),
]


def _expression(text: str | None) -> str | None:
    """`text`, if it can be read. A server selects nothing by what cannot, and tells only its log."""
    from birdbath.classads import Constraint as Expression
    from birdbath.errors import InvalidAd

    try:
        Expression(text)
    except InvalidAd as error:
        raise typer.BadParameter(str(error)) from None
    return text


Json = Annotated[bool, typer.Option("--json", "-json", help="Print JSON, for scripts.")]
Long = Annotated[bool, typer.Option("--long", "-long", "-l", help="Print whole ads.")]
Constraint = Annotated[
    str | None,
    typer.Option(
        "--constraint",
        "-constraint",
        help="Only where this ClassAd expression is true.",
        metavar="EXPR",
        callback=_expression,
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "--af",
        "-af",
        help="Print only these attributes, one line an ad. Separate them by commas, or repeat the option;"
        " after -af by blanks, too.",
        metavar="ATTR,...",
    ),
]
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class ShowsAds(TyperCommand):
    """A command with `Attributes`, whose `-af` takes all names that follow it, as that of `condor_q` does:
    taken for users or machines they would select nothing.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The rest of `args` when the options are read."""
        words: list[str] = []
        for word in args:
            if words[-2:-1] == ["-af"] and _NAME.fullmatch(word):
                words[-1] += f",{word}"
            else:
                words.append(word)
        return super().parse_args(ctx, words)


Reason = Annotated[
    str, typer.Option("--reason", "-reason", help="Why; kept in the job's ad.", metavar="TEXT")
]

P = ParamSpec("P")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose errors are one line on standard error, and an exit code.

    1: refused, or a part of it failed. 2 (from the option parser): wrong usage. 3: no server there. 130:
    Ctrl-C.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _give_up_stdout()
            raise typer.Exit(REFUSED) from None
        except BirdbathError as error:
            complain(str(error))
            raise typer.Exit(_exit_code(error)) from None
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(REFUSED) from None

    return run


def help_of(command: Callable[..., None]) -> str:
    """What `--help` tells of a command: its docstring, whose paragraphs the terminal breaks into lines."""
    return "\n\n".join(" ".join(part.split()) for part in (command.__doc__ or "").split("\n\n"))


def complain(message: str) -> None:
    """One line on standard error."""
    typer.echo(f"birdbath: {' '.join(message.split())}", err=True)


def complain_of_missing(missing: str) -> None:
    """Say what the server left out of its answer; not all of it could be done then."""
    if missing:
        complain(missing)
        raise typer.Exit(REFUSED)


def _exit_code(error: BirdbathError) -> int:
    from birdbath.client import BadReply, ConnectionFailed

    return UNREACHABLE if isinstance(error, ConnectionFailed | BadReply) else REFUSED


def _give_up_stdout() -> None:
    """Nobody reads any more; without this the interpreter complains when it flushes at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
