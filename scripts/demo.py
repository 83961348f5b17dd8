"""The part of `scripts/demo` that runs in the environment: a server, and a user's client made with zeep.

Nothing of Birdbath is imported: the client sees what any SOAP client sees, the published WSDL. The server is
a process of its own, `birdbath serve`, and is stopped in any case.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zeep
from rich.console import Console
from rich.markup import escape
from zeep.exceptions import Error as ZeepError

CHUNK = 256 * 1024
PAYLOAD_SIZE = 1_000_003  # no multiple of the chunk: the last one is short
START_LIMIT = 60.0
JOB_LIMIT = 120.0
POLL_INTERVAL = 0.1
STATES = {
    1: "Idle",
    2: "Running",
    3: "Removed",
    4: "Completed",
    5: "Held",
    6: "Transferring output",
    7: "Suspended",
}
ENDED = {"Removed", "Completed", "Held"}

console = Console(highlight=False)


class Failed(Exception):
    """Something was not as it should be; the text says what."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--once", action="store_true", help="stop when the job is done")
    parser.add_argument("--home", type=Path, help="folder for the server; default: a temporary one")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, with the server stopped
    console.print("\n[bold]Birdbath[/]: a job with a file, by a client that knows nothing but the WSDL\n")
    try:
        with home_folder(options.home) as home, server(home) as url:
            show("server", url)
            show("home", str(home))
            run_job(url)
            show("WSDL", f"{url}/condorSchedd.wsdl")
            show("", f"{url}/condorCollector.wsdl")
            if not options.once:
                keep_serving(url)
    except KeyboardInterrupt:
        console.print("\n[dim]stopped[/]")
        return 0 if not options.once else 130
    except (Failed, ZeepError, OSError) as error:
        console.print(f"[red]failed:[/] {escape(str(error))}")
        return 1
    return 0


def show(what: str, text: str, style: str = "") -> None:
    console.print(f"  [bold]{what:<12}[/] [{style or 'default'}]{escape(text)}[/]", soft_wrap=True)


# ---------------------------------------------------------------- the server


@contextmanager
def home_folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen
    else:
        with tempfile.TemporaryDirectory(prefix="birdbath-demo-") as folder:
            yield Path(folder)


@contextmanager
def server(home: Path) -> Iterator[str]:
    """A server of its own on a free port; gives its URL, and stops it at the end."""
    log = home / "server.log"
    command = [sys.executable, "-m", "birdbath", "serve", "--home", str(home), "--port", "0"]
    with (
        log.open("ab") as errors,
        # A session of its own: Ctrl-C shall reach the server through us, once.
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, start_new_session=True) as process,
    ):
        try:
            yield ready_url(process, log)
        finally:
            stop(process)


def ready_url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the line that says where the server listens."""
    assert process.stdout is not None
    late = threading.Timer(START_LIMIT, process.kill)
    late.start()
    line = process.stdout.readline().decode()
    late.cancel()
    found = re.search(r"http://[^\s/]+", line)
    if not found:
        raise Failed(f"the server did not start; the end of its log:\n{log.read_text()[-2000:]}")
    return found[0]


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()


def keep_serving(url: str) -> None:
    birdbath = Path(sys.executable).with_name("birdbath")
    shown = os.path.relpath(birdbath) if birdbath.is_relative_to(Path.cwd()) else birdbath
    show("try next", f"{shown} q --all --url {url}", "cyan")
    stopping = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)  # one that comes before we wait is kept for us
    console.print("\n[dim]Serving until Ctrl-C.[/]")
    signal.sigwait(stopping)
    raise KeyboardInterrupt


# ---------------------------------------------------------------- the job, as a user's client runs it


def run_job(url: str) -> None:
    """A job that copies its input file to its output, from the first call to the comparison."""
    schedd = zeep.Client(f"{url}/condorSchedd.wsdl").create_service("{urn:condor}condorSchedd", url)
    show("answers as", checked(schedd.getVersionString()).message)
    payload = os.urandom(PAYLOAD_SIZE)
    cluster, proc = submit(schedd, payload)
    watch(schedd, cluster, proc)
    compare(schedd, cluster, proc, payload)


def submit(schedd: Any, payload: bytes) -> tuple[int, int]:
    transaction = checked(schedd.beginTransaction(60)).transaction
    cluster = checked(schedd.newCluster(transaction)).integer
    proc = checked(schedd.newJob(transaction, cluster)).integer
    show("job", f"{cluster}.{proc}: /bin/cat payload.bin > job.out")
    ad = checked(
        schedd.createJobTemplate(cluster, proc, "demo", "VANILLA", "/bin/cat", "payload.bin", None)
    ).classAd
    for item in ad.item:
        if item.name == "Out":
            item.value = "job.out"
    checked(schedd.declareFile(transaction, cluster, proc, "payload.bin", len(payload), "NOHASH", None))
    offsets = range(0, len(payload), CHUNK)
    for offset in offsets:
        chunk = payload[offset : offset + CHUNK]
        checked(schedd.sendFile(transaction, cluster, proc, "payload.bin", offset, chunk))
    show("uploaded", f"payload.bin, {len(payload):,} bytes in {len(offsets)} chunks")
    checked(schedd.submit(transaction, cluster, proc, ad))
    checked(schedd.commitTransaction(transaction))
    checked(schedd.requestReschedule())
    show("committed", f"transaction {transaction.id}")
    return cluster, proc


def watch(schedd: Any, cluster: int, proc: int) -> None:
    """Print the job's states as they change, until it has ended."""
    began, last = time.monotonic(), ""
    while last not in ENDED:
        ad = checked(schedd.getJobAd(None, cluster, proc)).classAd
        state = next(STATES[int(item.value)] for item in ad.item if item.name == "JobStatus")
        elapsed = time.monotonic() - began
        if state != last:
            show("state", f"{state:<12} after {elapsed:.1f} s")
        if elapsed > JOB_LIMIT:
            raise Failed(f"the job is still {state} after {JOB_LIMIT:.0f} s")
        last = state
        time.sleep(POLL_INTERVAL if last not in ENDED else 0)
    if last != "Completed":
        raise Failed(f"the job ended as {last}")


def compare(schedd: Any, cluster: int, proc: int, payload: bytes) -> None:
    """List and download the output, and see that it is what went in."""
    files = {item.name: item.size for item in checked(schedd.listSpool(None, cluster, proc)).info.item}
    show("files", ", ".join(f"{name} ({size:,})" for name, size in sorted(files.items())))
    if "job.out" not in files:
        raise Failed("there is no job.out")
    output = b"".join(
        checked(
            schedd.getFile(None, cluster, proc, "job.out", offset, min(CHUNK, files["job.out"] - offset))
        ).data
        for offset in range(0, files["job.out"], CHUNK)
    )
    if output != payload:
        raise Failed(
            f"job.out has {len(output)} bytes, and they differ from the {len(payload)} of payload.bin"
        )
    show(
        "downloaded",
        f"job.out equals payload.bin (SHA-256 {hashlib.sha256(output).hexdigest()[:16]}...)",
        "green",
    )


def checked(reply: Any) -> Any:
    """The reply, if it says SUCCESS. Some replies are a status, others have one."""
    status = reply if hasattr(reply, "code") else reply.status
    if status.code != "SUCCESS":
        raise Failed(f"{status.code}: {status.message}")
    return reply


if __name__ == "__main__":
    sys.exit(main())
