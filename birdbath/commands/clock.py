"""`birdbath clock`: how the simulated pool's clock stands, and setting it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Annotated, Any

import typer

from birdbath.commands.shared import DEFAULT_URL, Json, Url, complain, guarded
from birdbath.errors import BirdbathError


class Refused(BirdbathError):
    """The server does not do that; the text says why."""


@guarded
def clock(
    speed: Annotated[
        str | None,
        typer.Option(help="Pool seconds per second, or max: jump from event to event.", metavar="N|max"),
    ] = None,
    pause: Annotated[bool | None, typer.Option("--pause/--go", help="Stand still, or go on.")] = None,
    step: Annotated[
        bool, typer.Option("--step", help="Do what is due at the next instant at which anything is.")
    ] = False,
    until: Annotated[
        float | None,
        typer.Option(help="Go on, and pause at this pool time (seconds since the epoch).", metavar="TIME"),
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Show how the clock of the server's simulated pool stands, after changing it as the options say."""
    if speed not in (None, "max") and not _is_number(speed or ""):
        complain(f"--speed takes a number or max, not {speed}")
        raise typer.Exit(2)
    if until is not None and not isfinite(until):
        complain(f"--until takes a time, not {until}")
        raise typer.Exit(2)
    wanted: dict[str, Any] = {"paused": pause, "until": until, "step": step or None}
    wanted["speed"] = speed if speed in (None, "max") else float(speed or 0)
    state = _ask(url, {name: value for name, value in wanted.items() if value is not None})
    if as_json:
        typer.echo(json.dumps(state))
        return
    moment = datetime.fromtimestamp(state["time"], UTC)
    how = "jumps from event to event" if state["speed"] == "max" else f"runs {state['speed']:g} times as fast"
    paused = ", paused" if state["paused"] else ""
    typer.echo(f"{moment:%Y-%m-%d %H:%M:%S} UTC ({state['time']:.3f}): {how}{paused}")


def _is_number(text: str) -> bool:
    try:
        return 0 < float(text) < inf
    except ValueError:
        return False


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:300]


def _ask(url: str, wanted: dict[str, Any]) -> dict[str, Any]:
    import requests

    from birdbath.client import ConnectionFailed
    from birdbath.client.wire import new_session, reason_of, without_account

    address = f"{url.rstrip('/')}/pool/clock"
    try:
        with new_session(address) as session:
            reply = (
                session.post(address, json=wanted, timeout=90) if wanted else session.get(address, timeout=30)
            )
    except requests.RequestException as error:
        shown = without_account(address)
        raise ConnectionFailed(f"cannot reach {shown}: {reason_of(error)}", shown) from None
    if reply.status_code != 200:
        raise Refused(f"{without_account(url)}: {_reason(reply.text) or reply.reason}")
    state: dict[str, Any] = reply.json()
    return state
