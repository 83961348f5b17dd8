"""What `birdbath doctor` looks at: each part that a server needs, and what to do about it.

Nothing is changed: no folder made, no database brought up to date.
"""

from __future__ import annotations

import os
import resource
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from cryptography import x509
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from birdbath import admission
from birdbath.access.table import IssuerRow
from birdbath.credentials import WrongCredential
from birdbath.credentials.keys import KeyUrl
from birdbath.errors import BirdbathError
from birdbath.notify.services import check_broker
from birdbath.notify.sinks.mail import parse_server
from birdbath.pool.htcondor.reach import lack, trouble
from birdbath.pool.simulated.description_file import load_description
from birdbath.pool_tables import HTCONDOR, connection_of, pools_of
from birdbath.settings import Settings
from birdbath.store.database import SCHEMA_REVISION

DAYS: Final = 30


class UnreadableCertificate(BirdbathError):
    """A file holds no certificates."""


class UnusablePlace(BirdbathError):
    """The home folder or the database cannot be used."""


class Verdict(StrEnum):
    """How a part is."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One part: how it is, what was seen, and what to do about it."""

    part: str
    verdict: Verdict
    seen: str
    advice: str = ""


Found = tuple[Verdict, str, str]


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one part after the other; a part that cannot be looked at is bad.

    Of further pools those parts are looked at that each has of its own; their names say whose they are.
    """
    for part, look in _PARTS.items():
        yield from _examine(part, look, settings)
    try:
        _, *further = pools_of(settings).items()
    except BirdbathError as error:
        yield Finding("pools", Verdict.BAD, str(error), "correct the setting")
        return
    for name, pool in further:
        for part in ("home", "disk", "database", "pool"):
            yield from _examine(f"{name}: {part}", _PARTS[part], pool)


def check_places(settings: Settings) -> None:
    """Raise UnusablePlace when a start would fail at the home folder or the database. Nothing is made, and of
    a database file, which may be large, no more is read than its version.
    """
    for part, look in (("home", _home), ("database", partial(_database, whole=False))):
        for found in _examine(part, look, settings):
            if found.verdict is Verdict.BAD:
                raise UnusablePlace(f"{part}: {found.seen.splitlines()[0]}; {found.advice}")


def _examine(part: str, look: Callable[[Settings], Iterator[Found]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from (Finding(part, *found) for found in look(settings))
    except BirdbathError as error:
        yield Finding(part, Verdict.BAD, str(error), "correct the setting, or what it names")
    except OSError as error:
        yield Finding(part, Verdict.BAD, f"{error.filename or ''} {error.strerror}".strip(), "see there")


def _good(seen: str) -> Found:
    return Verdict.GOOD, seen, ""


def _home(settings: Settings) -> Iterator[Found]:
    folder = settings.folder
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        if os.access(parent, os.W_OK):
            yield _good(f"{folder} will be made")
        else:
            yield Verdict.BAD, f"{folder} cannot be made: {parent} cannot be written", "choose another home"
    elif not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield (
            Verdict.BAD,
            f"{folder} is no folder that this user can write",
            "chown it, or choose another home",
        )
    elif folder.stat().st_mode & 0o022:
        yield Verdict.DOUBTFUL, f"{folder} can be written by others", f"chmod go-w {folder}"
    else:
        yield _good(f"{folder} can be written")


def _disk(settings: Settings) -> Iterator[Found]:
    folder = settings.folder
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    free, inodes = disk.f_bavail * disk.f_frsize, disk.f_favail
    seen = f"{free >> 20} MiB free"
    if free < settings.min_free_bytes:
        yield Verdict.BAD, seen, "make room: files are refused below min_free_bytes"
    elif free < 10 * settings.min_free_bytes:
        yield Verdict.DOUBTFUL, seen, "make room soon"
    elif disk.f_files and inodes < 10_000:
        yield Verdict.DOUBTFUL, f"{inodes} inodes free", "delete files, or use a disk with more inodes"
    else:
        yield _good(seen)


def _database(settings: Settings, whole: bool = True) -> Iterator[Found]:
    url = settings.database
    if url.startswith("sqlite:///"):
        yield from _sqlite(Path(make_url(url).database or ""), whole)
        return
    try:
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        yield (
            Verdict.BAD,
            str(getattr(error, "orig", None) or error).strip(),
            "start it, or correct database_url",
        )
    else:
        yield _good("answers")


def _sqlite(path: Path, whole: bool) -> Iterator[Found]:
    if not path.exists():
        yield _good(f"{path} will be made")
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=5)) as database:
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone() if whole else ("ok",)
            new = not database.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
            (revision,) = (
                ("",) if new else database.execute("SELECT version_num FROM alembic_version").fetchone()
            )
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.Error as error:
        yield Verdict.BAD, f"{path}: {error}", "restore it from a copy, or see who holds it (fuser)"
        return
    if state != "ok":
        yield Verdict.BAD, f"{path}: {state}", "restore it from a copy, or try sqlite3 .recover"
    elif revision > SCHEMA_REVISION:
        yield Verdict.BAD, f"{path} is of a later version ({revision})", "install that version of Birdbath"
    elif revision < SCHEMA_REVISION:
        before = revision or "nothing"
        yield _good(f"{path} is sound; it will be brought up to date from {before} to {SCHEMA_REVISION}")
    else:
        yield _good(f"{path} is sound and can be written")


def _listening(settings: Settings) -> Iterator[Found]:
    admission.check_listening(settings)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    for port in (settings.port, settings.collector_port):
        if not port:
            continue
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((settings.host, port))
            except OSError as error:
                seen = f"{settings.host} port {port}: {error.strerror}"
                yield Verdict.DOUBTFUL, seen, "fine if the server is running; else see who has it (ss -ltnp)"
                continue
        yield _good(f"{settings.host} port {port} is free")


def _certificate(settings: Settings) -> Iterator[Found]:
    if admission.tls(settings) is None:
        exposed = admission.is_asking(settings) and not admission.is_loopback(settings.host)
        if exposed and not settings.trusted_proxies:
            yield (
                Verdict.BAD,
                "no TLS, so passwords and tokens will be refused",
                "set tls_certificate, or trusted_proxies when a proxy does it",
            )
        return
    assert settings.tls_certificate is not None
    first, *_ = _certificates(settings.tls_certificate)
    left = (first.not_valid_after_utc - datetime.now(UTC)).days
    seen = f"{settings.tls_certificate} is valid for {left} days"
    if left < 0:
        yield Verdict.BAD, f"{settings.tls_certificate} has expired", "renew it; no restart is needed"
    elif left < DAYS:
        yield Verdict.DOUBTFUL, seen, "renew it soon; no restart is needed"
    else:
        yield _good(seen)
    key = settings.tls_key or settings.tls_certificate
    if key.stat().st_mode & 0o077:
        yield Verdict.DOUBTFUL, f"{key} can be read by others", f"chmod 600 {key}"


def _authorities(settings: Settings) -> Iterator[Found]:
    """Those that verify client certificates; what an expired one has signed is refused."""
    path = settings.tls_client_ca
    if path is None or settings.tls_certificate is None:
        return
    now = datetime.now(UTC)
    left = {ca: (ca.not_valid_after_utc - now).days for ca in _certificates(path)}
    expired = [ca for ca, days in left.items() if days < 0]
    for ca in expired:
        verdict = Verdict.BAD if len(expired) == len(left) else Verdict.DOUBTFUL
        seen = f"{path}: {ca.subject.rfc4514_string()} has expired"
        yield verdict, seen, "replace it; clients whose certificates it signed are refused"
    for ca, days in left.items():
        if 0 <= days < DAYS:
            seen = f"{path}: {ca.subject.rfc4514_string()} is valid for {days} days"
            yield Verdict.DOUBTFUL, seen, "add its successor soon; no restart is needed"
    if min(left.values()) >= DAYS:
        yield _good(f"{path} is valid for {min(left.values())} days")


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise UnreadableCertificate(f"{path}: {error}") from None


def _audit(settings: Settings) -> Iterator[Found]:
    path = settings.audit_path
    if path is None:
        yield _good("not wanted")
        return
    folder = path.parent
    if folder == settings.folder and not folder.exists():
        yield _good(f"{path} will be made")  # with the home, which has been looked at
    elif not folder.is_dir():
        yield Verdict.BAD, f"{folder} is no folder", "make it, or correct audit_log"
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Verdict.BAD, f"{folder} cannot be written", "chown it, or choose another audit_log"
    elif path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        yield Verdict.BAD, f"{path} cannot be written", "chown it, or choose another audit_log"
    else:
        yield _good(f"{path} can be written")


def _authentication(settings: Settings) -> Iterator[Found]:
    admission.authentication(settings)
    admission.access_rules(settings)
    if not admission.is_asking(settings):
        if admission.is_loopback(settings.host):
            yield _good("nobody is asked; only this machine reaches the server")
        else:
            yield Verdict.DOUBTFUL, "nobody is asked who he is", "configure authentication"
    for row in settings.authentication:
        if isinstance(row, IssuerRow) and row.keys is None:
            yield _issuer(row)
        else:
            yield _good(f"{row.method} can be used")


def _issuer(row: IssuerRow) -> Found:
    try:
        KeyUrl(row.issuer, row.keys_url).key({"kid": ""})
    except WrongCredential as error:
        if "cannot be had" in str(error):
            return Verdict.BAD, str(error), "see whether the issuer can be reached, or use a file: keys"
    return _good(f"{row.method}: the keys of {row.issuer} can be had")


def _files(settings: Settings) -> Iterator[Found]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < settings.max_connections + 200:
        yield (
            Verdict.DOUBTFUL,
            f"{most} open files for {settings.max_connections} connections",
            "raise the limit (LimitNOFILE), or lower max_connections",
        )
    else:
        yield _good(f"{most} may be open")


def _pool(settings: Settings) -> Iterator[Found]:
    if settings.pool != HTCONDOR:
        load_description(settings.pool)
        yield _good(f"simulated, in the server: {settings.pool}")
        return
    missing = list(_unreadable(settings))
    for name, seen in missing:
        yield Verdict.BAD, f"{name}: {seen}", f"correct {name}, or what it names"
    if missing:
        return
    wrong = trouble(connection_of(settings), settings.htcondor_timeout)
    if wrong is not None:
        advice = (
            "see whether it runs and lets the gateway in (condor_ping); or correct the htcondor_* settings"
        )
        yield Verdict.BAD, wrong, advice
    elif (lacking := lack(connection_of(settings), settings.htcondor_timeout)) is not None:
        yield Verdict.DOUBTFUL, lacking, "add it there, or correct the htcondor_* settings: jobs are refused"
    else:
        yield _good("a real one, whose schedd and collector answer")


def _unreadable(settings: Settings) -> Iterator[tuple[str, str]]:
    """The settings of a real pool that name what cannot be read here."""
    files = ("htcondor_config", "htcondor_password", "htcondor_signing_key")
    for name in (*files, "htcondor_tokens", "htcondor_user_tokens"):
        path: Path | None = getattr(settings, name)
        if path is None:
            continue
        path = path.expanduser()
        kind = "file" if name in files else "folder"
        if not (path.is_file() if kind == "file" else path.is_dir()):
            yield name, f"{path} is no {kind}"
        elif not os.access(path, os.R_OK):
            yield name, f"{path} cannot be read"


def _broker(settings: Settings) -> Iterator[Found]:
    check_broker(settings)
    if settings.amqp_url:
        parts = urlsplit(settings.amqp_url)
        port = parts.port or (5671 if parts.scheme.startswith("amqps") else 5672)
        yield _reached(parts.hostname or "localhost", port, "start the broker, or correct amqp_url", "events")


def _mail(settings: Settings) -> Iterator[Found]:
    if settings.smtp_server:
        try:
            host, port = parse_server(settings.smtp_server)
        except ValueError:
            yield Verdict.BAD, settings.smtp_server, "smtp_server is host or host:port"
            return
        yield _reached(host, port, "start the mail server, or correct smtp_server", "mails")


def _reached(host: str, port: int, advice: str, waiting: str) -> Found:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        seen = f"{host} port {port}: {error.strerror or error}"
        return Verdict.BAD, seen, f"{advice}; {waiting} wait in the database"
    return _good(f"{host} port {port} answers")


_PARTS: Final[dict[str, Callable[[Settings], Iterator[Found]]]] = {
    "home": _home,
    "disk": _disk,
    "database": _database,
    "listening": _listening,
    "certificate": _certificate,
    "authorities": _authorities,
    "authentication": _authentication,
    "audit log": _audit,
    "open files": _files,
    "pool": _pool,
    "broker": _broker,
    "mail": _mail,
}
