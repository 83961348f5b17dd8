"""`python -m tests.fuzz TARGET [--seconds N] [--corpus FOLDER] [--seed N]`: a coverage-guided run.

What makes the target fail is written to tests/fuzz/crashes/TARGET, where the tests try it again for ever.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

CRASHES = Path(__file__).parent / "crashes"


def main() -> None:
    """Run until the time is over or the target fails."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Fuzz one target.")
    parser.add_argument("target", choices=["request", "ad"])
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--corpus", type=Path, help="folder that keeps what was found interesting")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one")
    asked = parser.parse_args()
    with atheris.instrument_imports(include=["birdbath.soap", "birdbath.classads"]):
        from tests.fuzz.targets import CORPUS, TARGETS
    with tempfile.TemporaryDirectory() as scratch:
        corpus = asked.corpus or Path(scratch)
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(CORPUS[asked.target]):
            (corpus / f"seed-{number}").write_bytes(seed)
        (CRASHES / asked.target).mkdir(exist_ok=True)
        options = [
            f"-max_total_time={asked.seconds}",
            "-max_len=4096",
            "-timeout=20",
            "-rss_limit_mb=4096",
            f"-seed={asked.seed}",
            f"-artifact_prefix={CRASHES / asked.target}/",
            str(corpus),
        ]
        atheris.Setup([sys.argv[0], *options], TARGETS[asked.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
