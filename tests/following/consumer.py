"""A follower of the event stream, as a process of its own: it may be killed at any point.

It writes each event to a journal, a line `source sequence id cluster.proc`, and goes on after the journal's
last whole line, by Last-Event-ID. Nothing of the project is imported here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
import time
from pathlib import Path


def resume(journal: Path) -> int:
    """The last sequence number of the journal; what a kill left of a line is cut off."""
    if not journal.exists():
        return 0
    whole, _, rest = journal.read_bytes().rpartition(b"\n")
    if rest:
        os.truncate(journal, len(whole) + 1 if whole else 0)
    return int(whole.rpartition(b"\n")[2].split()[1]) if whole else 0


def follow(port: int, path: str, journal: Path, last: int) -> int:
    """Follow until the connection ends; the last sequence number that was written down."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    if response.status != 200:
        return last
    sequence = ""
    with journal.open("ab", buffering=0) as written:
        for text in response:
            name, _, value = text.decode().rstrip("\n").partition(": ")
            if name == "id":
                sequence = value
            elif name == "data":
                event = json.loads(value)
                line = f"{event['source']} {sequence} {event['id']} {event['subject']}\n"
                written.write(line.encode())
                last = int(sequence)
    return last


def main() -> None:
    """`consumer.py PORT PATH JOURNAL`: follow for ever."""
    port, path, journal = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    last = resume(journal)
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            last = follow(port, path, journal, last)
        last = max(last, resume(journal))
        time.sleep(0.02)  # the server is not there


if __name__ == "__main__":
    main()
