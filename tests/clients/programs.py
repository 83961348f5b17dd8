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


# Axis 1.4 and what it stands on, as Debian's libaxis-java puts them.
AXIS_JARS = [
    Path("/usr/share/java", f"{name}.jar")
    for name in ("axis", "jaxrpc", "saaj", "wsdl4j", "commons-discovery", "commons-logging")
]


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
    parts = [sources / f"{folder.name}.cpp", *sorted(folder.glob("*.cpp"))]
    options = ["-std=c++17", "-O0", "-Wall", f"-I{folder}", f"-I{sources}"]
    run(["g++", *options, "-o", program, *parts, "-lgsoap++"])
    return program


def build_axis(url: str, sources: Path, folder: Path) -> str:
    """Generate Java stubs from both served WSDLs, compile the client with them; the class path to run it."""
    jars = ":".join(map(str, AXIS_JARS))
    for service in ("condorSchedd", "condorCollector"):
        generator = ["java", "-cp", jars, "org.apache.axis.wsdl.WSDL2Java", "-p", "condor"]
        run([*generator, "-o", folder / "stubs", f"{url}/{service}.wsdl"])
    stubs = sorted((folder / "stubs").rglob("*.java"))
    classes = folder / "classes"
    run(
        [
            "javac",
            "-nowarn",
            "-encoding",
            "UTF-8",
            "-cp",
            jars,
            "-d",
            classes,
            sources / "Client.java",
            *stubs,
        ]
    )
    return f"{classes}:{jars}"
