"""Runs one program shut into a directory, and kills all that is left of it afterwards.

Started by `processes` in an interpreter of its own (`python -I -S launcher.py`), in a session of its own: it
imports nothing but the standard library. It reads what to do as JSON from standard input and writes what came
of it as JSON to standard output. SIGTERM ends the program with everything that it started, and so does the
death of whoever started this.

The program may read and execute what belongs to the system, and read and write below its directory only; that
is Landlock's work, which needs no privileges. (By hand, for the packages that wrap Landlock's three system
calls are pre-releases.) As root, the directory also becomes /tmp, and the program runs under another account.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import struct
import sys
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all architectures
_PATH_BENEATH = 1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_CLONE_NEWNS, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x00020000, 4096, 16384, 1 << 18
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_READABLE = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/proc", "/nix/store")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """The version of Landlock that this kernel offers; below 1 there is none."""
    return int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1))


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, argument: int) -> None:
    _checked(_libc.prctl(option, argument, 0, 0, 0), "prctl")


def _confine(directory: str) -> None:
    """From now on: the system may be read, `directory` is free, all else is shut; no signals to others."""
    version = landlock_version()
    rights = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1
    attributes = struct.pack("=QQQ", rights, 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 8
    ruleset = _checked(_libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0), "Landlock")
    for path in _SYSTEM:
        _allow(ruleset, path, _READABLE & rights)
    for path in _DEVICES:
        _allow(ruleset, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEVICE) & rights)
    _allow(ruleset, directory, rights)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "Landlock")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # this system does not have it
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), f"Landlock, {path}")
    finally:
        os.close(descriptor)


def _bind_as_tmp(directory: str) -> str:
    """As root: a mount namespace of its own in which the directory is /tmp; where it then is."""
    if os.geteuid() != 0 or _libc.unshare(_CLONE_NEWNS) != 0:
        return directory
    _checked(_libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "mount")
    _checked(_libc.mount(os.fsencode(directory), b"/tmp", None, _MS_BIND, None), "mount")
    return "/tmp"


def _limit(limits: dict[str, int]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, most in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _open_streams(order: dict[str, Any]) -> None:
    """Standard input, output and error from and to files of the directory, never through a link."""
    made = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    streams = (("stdin", os.O_RDONLY), ("stdout", made), ("stderr", made))
    descriptors = []
    for name, flags in streams:
        if order[name] is None:
            descriptors.append(os.open("/dev/null", os.O_RDWR))
        elif name == "stderr" and order["stderr"] == order["stdout"]:
            descriptors.append(os.dup(descriptors[1]))
        else:
            descriptors.append(os.open(order[name], flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600))
    for number, descriptor in enumerate(descriptors):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_NONBLOCK)
        os.dup2(descriptor, number)


def _become(account: list[int] | None) -> None:
    if account is not None:
        os.setgroups([])
        os.setresgid(account[1], account[1], account[1])
        os.setresuid(account[0], account[0], account[0])


def _program(order: dict[str, Any], launcher: int) -> None:
    """In the child: shut in, then replaced by the program. Raises OSError."""
    directory = _bind_as_tmp(order["directory"])
    os.chdir(directory)
    os.umask(0o077)
    _limit(order["limits"])
    _become(order["account"])
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # after _become, which undoes it
    if os.getppid() != launcher:
        os._exit(1)
    _confine(directory)
    _open_streams(order)
    places = dict.fromkeys(("HOME", "TMPDIR", "TMP", "TEMP", "_CONDOR_SCRATCH_DIR"), directory)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve(order["program"], order["arguments"], {**places, **order["environment"]})


def _spawn(order: dict[str, Any]) -> tuple[int, OSError | None]:
    """The program's process, and why it could not be started, if so."""
    reading, writing = os.pipe()  # closed by the exec
    launcher = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            fcntl.fcntl(writing, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
            report = os.dup(writing) if writing < 3 else writing
            _program(order, launcher)
        except OSError as error:
            os.write(report, json.dumps([error.errno or 0, str(error)]).encode())
        finally:
            os._exit(127)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        problem = stream.read()
    return child, OSError(*json.loads(problem)) if problem else None


def _wait(child: int) -> tuple[int, resource.struct_rusage]:
    """The child's end; SIGTERM kills it, its process group and later the rest."""
    while True:
        received = signal.sigwait({signal.SIGCHLD, signal.SIGTERM})
        if received == signal.SIGTERM:
            _kill_descendants()
        while True:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == child:
                return status, usage
            if pid == 0:
                break


def _kill_descendants() -> None:
    """Kill every process that descends from this one: as their subreaper it is the parent of all orphans."""
    me = os.getpid()
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    parents[int(name)] = int(stream.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
    for pid in parents:
        above = pid
        while above in parents and above != me:
            above = parents[above]
        if above == me and pid != me:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def _kill_rest() -> None:
    while True:
        _kill_descendants()
        try:
            os.wait4(-1, 0)
        except ChildProcessError:
            return


def main() -> None:
    """See the module's own text."""
    order = json.load(sys.stdin)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != order["parent"]:
        return
    child, problem = _spawn(order)
    status, usage = _wait(child)
    _kill_rest()
    result: dict[str, Any] = {"user": usage.ru_utime, "system": usage.ru_stime, "memory": usage.ru_maxrss}
    if problem is not None:
        result |= {"errno": problem.errno, "error": problem.strerror}
    elif os.WIFSIGNALED(status):
        result["signal"] = os.WTERMSIG(status)
    else:
        result["exit_code"] = os.waitstatus_to_exitcode(status)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
