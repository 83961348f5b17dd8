"""A worker process: answers one request after the other with the bindings, until its gateway goes.

The bindings hold Python's interpreter lock during every network call, keep one identity's sessions for
another, and leak (pool reference section 3): so they are never called in the gateway itself.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from multiprocessing import connection as pipes

from birdbath.errors import BirdbathError
from birdbath.pool.htcondor.connection import PoolRefused


def main() -> None:
    """Serve the pipe whose descriptor is the first argument."""
    from birdbath.pool.htcondor import calls

    calls.die_with_parent()
    pipe = pipes.Connection(int(sys.argv[1]))
    try:
        connection, gateway = pipe.recv()
    except (EOFError, ConnectionError):
        return
    session = calls.Session(connection, gateway, lambda: pipe.send(None))
    while True:
        try:
            name, arguments = pipe.recv()
        except (EOFError, ConnectionError):
            return
        try:
            answer: tuple[bool, object] = True, getattr(session, name)(*arguments)
        except BirdbathError as error:
            session.start_over()
            answer = False, error
        except Exception as error:  # nobody else would tell: the gateway sees only that a worker ended
            answer = False, PoolRefused(f"{name} failed unexpectedly: {type(error).__name__}: {error}")
        with suppress(ConnectionError):  # the gateway went, which the next request would tell
            pipe.send(answer)


if __name__ == "__main__":
    main()
