"""`python -m tests.fuzz request --seconds 3600`: fuzz one target; what crashes it is kept for the tests.

The inputs that led to new code are kept in the corpus folder, so that the next run goes on from there.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["birdbath"]):
    from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent


def main() -> None:
    """Fuzz until the time is over; ends with a status other than 0 at the first crash."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=3600, help="how long; default: an hour")
    parser.add_argument("--corpus", type=Path, help="folder that the inputs are kept in")
    parser.add_argument("--crashes", type=Path, default=HERE / "crashes", help="folder for what crashes")
    chosen = parser.parse_args()
    folder = chosen.crashes / chosen.target
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.argv[0],
        f"-max_total_time={chosen.seconds}",
        f"-artifact_prefix={folder}/",
        "-max_len=8192",
        "-timeout=10",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
    ]
    if chosen.corpus:
        chosen.corpus.mkdir(parents=True, exist_ok=True)
        command.append(str(chosen.corpus))
    command.append(str(HERE / "seeds" / chosen.target))
    atheris.Setup(command, TARGETS[chosen.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
