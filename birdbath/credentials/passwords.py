"""Password files: a line `account:hash` for each account, argon2 or bcrypt as web servers have them.

A line `account:{CLEAR}password` keeps the password itself: the digest of a WS-Security UsernameToken can be
checked in no other way.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

import argon2
import bcrypt

from birdbath.credentials.errors import UnusableCredentials, WrongCredential
from birdbath.credentials.rereading import Files
from birdbath.store.files import sync_directory, write_all

CLEAR: Final = "{CLEAR}"
MAX_PASSWORD: Final = 1024

_ACCOUNT = re.compile(r"[A-Za-z0-9._@+-]{1,255}")
_HASH = re.compile(r"\$argon2(id|i|d)\$.+|\$2[aby]\$[0-9]{2}\$.{53}|\{CLEAR\}.+")
_hasher = argon2.PasswordHasher()


@cache
def _nobody() -> str:
    """Checked for accounts that do not exist, so that the time of an answer does not tell which ones do."""
    return _hasher.hash(secrets.token_hex())


def valid_account(account: str) -> bool:
    """Whether `account` can be the name of one: no character that a list, an ad or a log would trip over."""
    return _ACCOUNT.fullmatch(account) is not None


def hash_password(password: str, clear: bool = False) -> str:
    """What a password file keeps of a password: an argon2id hash, or with `clear` the password itself."""
    return CLEAR + password if clear else _hasher.hash(password)


def parse(data: bytes) -> dict[str, str]:
    """The accounts of a password file with what is kept of their passwords. Raises ValueError."""
    accounts = {}
    for number, line in enumerate(data.decode().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        account, _, kept = line.strip().partition(":")
        if not valid_account(account) or not _HASH.fullmatch(kept):
            raise ValueError(f"line {number} is not account:hash with an argon2 or bcrypt hash")
        accounts[account] = kept
    return accounts


def is_right(kept: str, password: str) -> bool:
    """Whether `password` is the one of which `kept` is kept; takes tens of milliseconds, as it should."""
    if len(password) > MAX_PASSWORD:
        return False
    if kept.startswith(CLEAR):
        return hmac.compare_digest(kept.removeprefix(CLEAR).encode(), password.encode())
    if kept.startswith("$argon2"):
        with suppress(argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return _hasher.verify(kept, password)
        return False
    secret = password.encode()
    with suppress(ValueError):  # what is kept only looks like a hash
        return len(secret) <= 72 and bcrypt.checkpw(secret, kept.encode())
    return False


class PasswordFiles:
    """Password files that are read again when they changed; the first that has an account counts for it.

    Raises UnusableCredentials at first.
    """

    def __init__(self, *paths: Path, files: Files | None = None) -> None:
        files = files or Files()
        self._files = [files.open(path, parse) for path in paths]
        self._nobody = _nobody()  # now, as the first answer would tell otherwise

    @property
    def version(self) -> object:
        """Changes with the files; what was cached under another version counts no more."""
        for file in self._files:
            file.look()
        return tuple(file.version for file in self._files)

    def check(self, account: str, password: str) -> None:
        """Raise WrongCredential unless that is the account's password. Slow: not on the event loop."""
        kept = self._kept(account)
        if not is_right(kept or self._nobody, password) or kept is None:
            raise WrongCredential("wrong password" if kept else "no such account")

    def clear_password(self, account: str) -> bytes:
        """The password itself, for a digest. Raises WrongCredential where only a hash is kept."""
        kept = self._kept(account) or ""
        if not kept.startswith(CLEAR):
            raise WrongCredential("no clear password is kept for this account")
        return kept[len(CLEAR) :].encode()

    def _kept(self, account: str) -> str | None:
        for file in self._files:
            if (kept := file.content.get(account)) is not None:
                return kept
        return None


def change(path: Path, account: str, kept: str | None) -> bool:
    """Set, or with None delete, the line of an account; whether it had one.

    The file is replaced as a whole, on disk when this returns, and readable by its owner only. Who changes it
    at the same time waits.
    """
    with _replacing(path) as replace:
        try:
            lines = path.read_bytes().decode().splitlines()
        except FileNotFoundError:
            lines = []
        except UnicodeDecodeError as error:  # whose own text shows what is there
            raise UnusableCredentials(f"{path}: byte {error.start + 1} is not UTF-8") from None
        except OSError as error:
            raise UnusableCredentials(f"Cannot read {path}: {error.strerror}") from None
        others = [line for line in lines if line.partition(":")[0] != account]
        wanted = others + ([f"{account}:{kept}"] if kept else [])
        replace("".join(f"{line}\n" for line in wanted).encode())
    return len(others) < len(lines)


def make_secret(path: Path, data: bytes) -> bool:
    """Make a file that its owner alone may read, on disk when this returns; False, and nothing is done, when
    it is there already.
    """
    with _replacing(path) as replace:
        if os.path.lexists(path):
            return False
        replace(data)
    return True


@contextmanager
def _replacing(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What replaces a file in the block, in which nobody else does. Raises UnusableCredentials."""
    new = path.with_name(path.name + ".new")
    try:
        descriptor = _locked(new)
        replaced = False

        def replace(data: bytes) -> None:
            nonlocal replaced
            os.ftruncate(descriptor, 0)
            write_all(descriptor, data, 0)
            os.fsync(descriptor)
            os.replace(new, path)
            replaced = True  # the next one may have made its own meanwhile
            sync_directory(path.parent)

        try:
            yield replace
        finally:
            if not replaced:
                new.unlink()
            os.close(descriptor)
    except OSError as error:
        raise UnusableCredentials(f"Cannot write {path}: {error.strerror}") from None


def _locked(new: Path) -> int:
    """A file that nobody else writes to as long as it is open here."""
    while True:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.lstat(new)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it is in its place by now, and was another's
