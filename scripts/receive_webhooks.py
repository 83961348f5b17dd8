"""Receive signed webhooks and print them. Usage: receive_webhooks.py URL [TOPIC...]

Subscribes at the server, listens on a free port of this machine until Ctrl-C, and ends the subscription.
Needs nothing but Python. The server has to allow the address: birdbath serve with
BIRDBATH_WEBHOOK_NETWORKS=127.0.0.0/8.
"""

import base64
import hmac
import json
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
url, topics = sys.argv[1], sys.argv[2:]
seen = set()  # a real receiver keeps the ids of some days, with what it did about them


def is_signed(headers, body, secret):
    """Whether the request comes from whoever knows the secret, and is not an old one sent again."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, "sha256")
    wanted = "v1," + base64.b64encode(digest).decode()
    fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return fresh and any(
        hmac.compare_digest(wanted, given) for given in headers["webhook-signature"].split(" ")
    )


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        taken = is_signed(self.headers, body, subscription["secret"])
        self.send_response(204 if taken else 401)
        self.end_headers()
        if taken and self.headers["webhook-id"] not in seen:  # it may come again when the answer was lost
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["time"], event["subject"], event["type"].rpartition(".")[2], flush=True)

    def log_message(self, *words):
        """The events are enough."""


def call(method, path, value=None):
    request = urllib.request.Request(url + path, json.dumps(value).encode() if value else None, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.read()
    except urllib.error.HTTPError as refused:
        sys.exit(json.loads(refused.read())["detail"])


server = HTTPServer(("127.0.0.1", 0), Receiver)
hook = f"http://127.0.0.1:{server.server_port}/"
wanted = {"kind": "webhook", "url": hook, "topics": topics}
subscription = json.loads(call("POST", "/events/subscriptions", wanted))
print(f"Waiting for events at {hook}", flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
finally:
    call("DELETE", f"/events/subscriptions/{subscription['id']}")
