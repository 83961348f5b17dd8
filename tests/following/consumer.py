"""A follower of the event stream, as a process of its own: it may be killed at any point.

It writes each event to a journal, a line `sequence id cluster.proc`, and goes on after the journal's last
whole line, by Last-Event-ID. Nothing of the project is imported here.
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
    return int(whole.rpartition(b"\n")[2].split()[0]) if whole else 0


def follow(port: int, journal: Path, last: int) -> int:
    """Follow until the connection ends; the last sequence number that was written down."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
    connection.request("GET", "/events", headers=headers)
    response = connection.getresponse()
    if response.status != 200:
        return last
    sequence = ""
    with journal.open("ab", buffering=0) as written:
        for line in response:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                sequence = value
            elif name == "data":
                event = json.loads(value)
                written.write(f"{sequence} {event['id']} {event['subject']}\n".encode())
                last = int(sequence)
    return last


def main() -> None:
    """`consumer.py PORT JOURNAL`: follow for ever."""
    port, journal = int(sys.argv[1]), Path(sys.argv[2])
    last = resume(journal)
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            last = follow(port, journal, last)
        last = max(last, resume(journal))
        time.sleep(0.02)  # the server is not there


if __name__ == "__main__":
    main()
