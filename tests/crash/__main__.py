"""`scripts/crash`: as many kills as one likes, in campaigns of a hundred."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.crash import campaign

_KINDS = {"kill": campaign.kills, "power-cut": campaign.power_cuts}


def main() -> int:
    """0 when nothing was lost, else 1; the home folder of a campaign that failed is kept and named."""
    options = _options()
    seed = options.seed or secrets.token_hex(4)
    done = number = 0
    while done < options.kills:
        count = min(options.campaign, options.kills - done)
        name = seed if options.kills == count else f"{seed}-{number}"
        home = Path(tempfile.mkdtemp(prefix="birdbath-crash-"))
        ends = _KINDS[options.kind](name, count)
        report = campaign.run(home / "home", name, ends, options.durable_at)
        done, number = done + count, number + 1
        print(f"{done} of {options.kills}: {report.summary()}", flush=True)
        if report.violations:
            print(*(f"  {line}" for line in report.violations), sep="\n")
            print(f"The home folder and the journals are in {home}; again with:")
            kind = f"--kind {options.kind} --durable-at {options.durable_at}"
            print(f"  scripts/crash {kind} --kills {count} --campaign {count} --seed {name}")
            return 1
        shutil.rmtree(home)
    print(f"{done} kills, nothing that was acknowledged was lost")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="how often (%(default)s)")
    parser.add_argument("--campaign", type=int, default=100, help="kills on one home folder (%(default)s)")
    parser.add_argument("--kind", choices=_KINDS, default="kill", help="how the server ends (%(default)s)")
    parser.add_argument(
        "--durable-at", choices=("call", "commit"), default="call", help="the server's setting"
    )
    parser.add_argument("--seed", help="what a failed campaign said, to repeat it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
