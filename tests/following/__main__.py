"""`scripts/follow`: as many events as one likes, with kills of everybody but the log."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from tests import rabbitmq
from tests.following import campaign


def main() -> int:
    """0 when every follower got every event, else 1; the home folder then is kept and named."""
    parser = argparse.ArgumentParser(prog="scripts/follow", description=__doc__)
    parser.add_argument("--events", type=int, default=10000, help="about how many (%(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="of the server (%(default)s)")
    parser.add_argument("--away", type=float, default=20, help="least seconds of the partition (%(default)s)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what a failed campaign said")
    parser.add_argument("--broker", action="store_true", help="follow over a RabbitMQ server too")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="birdbath-follow-"))
    with rabbitmq.running() if options.broker else nullcontext() as broker:
        report = campaign.run(home, options.seed, options.events, options.kills, options.away, broker)
    print(report.summary())
    if not report.violations:
        print("Nothing was lost")
        return 0
    print(*report.violations, sep="\n")
    print(f"The home folder is {home}; again with --seed {options.seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
