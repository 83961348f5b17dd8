"""Whether a pool can be used: what its schedd and its collector are asked to find out."""

from __future__ import annotations

from birdbath.errors import BirdbathError
from birdbath.pool.htcondor.connection import Connection
from birdbath.pool.htcondor.workers import Call, Workers

READY_WITHIN = 4.0
"""Seconds for each when readiness asks: fewer than it waits for, so that it says which part is in trouble."""


def questions(seconds: float) -> dict[str, Call]:
    """What to ask, by whom it is answered; each may take `seconds`."""
    return {
        "schedd": Call("ping", (), seconds),
        "collector": Call("query_ads", ("Collector", "true"), seconds),
    }


def trouble(connection: Connection, seconds: float) -> str | None:
    """What keeps the pool from being used, if anything; nothing is kept of it. Waits for the answers, each at
    most `seconds`: not on the event loop.
    """
    workers = Workers(connection, "", 2)
    try:
        asked = {part: workers.ask(call) for part, call in questions(seconds).items()}
        for part, future in asked.items():
            try:
                future.result()
            except BirdbathError as error:
                return f"{part}: {error}"
        return None
    finally:
        workers.close()


def lack(connection: Connection, seconds: float) -> str | None:
    """What the schedd does not let the gateway do, though it answers: speak for others, as only its
    QUEUE_SUPER_USERS may. None as well when it does not say who these are. Waits for the answer, at most
    `seconds`: not on the event loop.
    """
    workers = Workers(connection, "", 1)
    try:
        name, listed = workers.ask(Call("standing", (), seconds)).result()
    except BirdbathError:
        return None
    finally:
        workers.close()
    users = list(dict.fromkeys(listed.replace(",", " ").split()))
    account, _, domain = name.partition("@")
    # Names with patterns and groups are the schedd's to tell, and its own accounts are none of a list.
    if not users or {name, account} & {*users} or any(mark in listed for mark in "*%"):
        return None
    if account in ("root", "condor", "condor_pool") or domain in ("password", "family", "child"):
        return None
    return f"the schedd knows the server as {name}, who is none of its QUEUE_SUPER_USERS ({', '.join(users)})"
