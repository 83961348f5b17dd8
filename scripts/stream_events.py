"""Print the events of a server as they happen. Usage: stream_events.py URL [TOPIC...]

A topic is a pattern on job.<event>.<owner>.<cluster>.<proc>, such as 'job.held.#' or 'job.*.alice.#'.
Needs nothing but Python. When the connection ends it is made anew, and goes on with the event after the last.
"""

import http.client
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
url, topics = sys.argv[1], sys.argv[2:]
query = urllib.parse.urlencode([("topic", topic) for topic in topics])
SILENCE = 60  # seconds; the server says something every 15
headers = {"Accept": "text/event-stream"}


def follow():
    """Print events until the connection ends."""
    request = urllib.request.Request(f"{url}/events?{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=SILENCE) as stream:
        kind = "message"
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                headers["Last-Event-ID"] = value
            elif name == "event":
                kind = value
            elif name == "data" and kind == "missed":
                print(f"missed: {json.loads(value)['missed']} events", flush=True)
            elif name == "data" and kind == "message":
                event = json.loads(value)
                print(event["time"], event["subject"], event["type"].rpartition(".")[2], flush=True)
            elif not name:
                kind = "message"


try:
    while True:
        try:
            follow()
        except urllib.error.HTTPError as refused:
            if refused.code < 500:
                sys.exit(f"{refused.code} {refused.reason}: {refused.read().decode()}")
        except urllib.error.URLError as unreachable:
            print(f"{unreachable.reason}; trying again", file=sys.stderr)
        except (OSError, http.client.HTTPException):
            pass  # the connection was lost
        time.sleep(1)
except KeyboardInterrupt:
    pass
