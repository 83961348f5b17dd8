"""Running and building the client programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The clients wait for jobs themselves, at most a minute each time.
DEADLINE = 240.0


def run(command: Sequence[str | Path]) -> str:
    """What the program printed; an assertion with all it said when it failed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def seen_by(command: Sequence[str | Path]) -> dict[str, Any]:
    """The JSON object that a client program prints about what it saw."""
    seen = json.loads(run(command))
    assert isinstance(seen, dict)
    return seen


@dataclass(frozen=True)
class GsoapPrograms:
    schedd: Path
    collector: Path


def build_gsoap(url: str, sources: Path, folder: Path) -> GsoapPrograms:
    """Generate C++ from both served WSDLs as gSOAP's users do, and compile the programs in `folder`."""
    return GsoapPrograms(
        schedd=build_one(f"{url}/condorSchedd.wsdl", sources, folder / "schedd"),
        collector=build_one(f"{url}/condorCollector.wsdl", sources, folder / "collector"),
    )


def build_one(wsdl: str, sources: Path, folder: Path) -> Path:
    folder.mkdir()
    header = folder / "service.h"
    run(["wsdl2h", "-x", "-L", "-o", header, wsdl])
    run(["soapcpp2", "-C", "-L", "-j", "-x", "-w", "-I/usr/share/gsoap/import", f"-d{folder}", header])
    program = folder / "client"
    own = sources / f"{folder.name}.cpp"
    options = ["-std=c++17", "-O0", "-Wall", "-Werror", "-I", folder, "-I", sources]
    run(["g++", *options, "-o", program, own, *sorted(folder.glob("*.cpp")), "-lgsoap++"])
    return program
