"""HTCondor's map files: from what an authentication method proved to an account.

A line has a method, a regular expression that is searched in the proven name, and the account, in which \\1
stands for what the first group matched; the first line that fits counts. The SOAP_SSL deployments' files
(reference section 6.3) work as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from birdbath.credentials.errors import WrongCredential
from birdbath.credentials.rereading import Files

_FIELD = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?!\S)|(?P<bare>[^\s"]\S*))')
_SLASHED = re.compile(r"/(?P<pattern>.*)/(?P<flags>[iU]*)")


@dataclass(frozen=True)
class MapEntry:
    """One line of a map file."""

    method: str
    pattern: re.Pattern[str]
    account: str

    def map(self, name: str) -> str | None:
        """The account of `name`, None when the line is not for it."""
        match = self.pattern.search(name)
        if match is None:
            return None
        return re.sub(r"\\([0-9])", lambda group: _group(match, int(group[1])), self.account)


def _group(match: re.Match[str], number: int) -> str:
    return (match[number] or "") if number <= match.re.groups else ""


def parse(data: bytes) -> list[MapEntry]:
    """The lines of a map file. Raises ValueError that names the line."""
    entries = []
    for number, line in enumerate(data.decode(errors="surrogateescape").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        matches = list(_FIELD.finditer(line))
        fields = [_field(match) for match in matches]
        if len(fields) < 3 or "".join(match[0] for match in matches).rstrip() != line.rstrip():
            raise ValueError(f"line {number} has no three fields: method, pattern, account")
        entries.append(MapEntry(fields[0].upper(), _pattern(fields[1], number), fields[2]))
    return entries


def _field(match: re.Match[str]) -> str:
    quoted: str | None = match["quoted"]
    return match["bare"] if quoted is None else quoted.replace('\\"', '"')


def _pattern(text: str, number: int) -> re.Pattern[str]:
    slashed = _SLASHED.fullmatch(text)
    flags = re.IGNORECASE if slashed and "i" in slashed["flags"] else re.NOFLAG
    try:
        return re.compile(slashed["pattern"] if slashed else text, flags)
    except re.error as error:
        raise ValueError(f"line {number}: {text!r} is no regular expression: {error}") from None


def account_of(entries: Sequence[MapEntry], method: str, name: str) -> str | None:
    """The account that the first fitting line gives to `name`."""
    for entry in entries:
        if entry.method == method and (account := entry.map(name)) is not None:
            return account
    return None


class MapFiles:
    """Map files that are read again when they changed, as if they were one. Raises UnusableCredentials at
    first.
    """

    def __init__(self, *paths: Path, files: Files | None = None) -> None:
        files = files or Files()
        self._files = [files.open(path, parse) for path in paths]

    def account(self, method: str, name: str) -> str:
        """The account of a proven name. Raises WrongCredential when it has none."""
        found = (account_of(file.content, method, name) for file in self._files)
        account = next((account for account in found if account is not None), None)
        if not account:
            raise WrongCredential(f"no line of the map file is for {method} {name[:200]!r}")
        return account


_SHORT = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
    "domainComponent": "DC",
    "userId": "UID",
    "surname": "SN",
    "givenName": "GN",
}


def one_line(subject: Sequence[Sequence[tuple[str, str]]]) -> str:
    """A certificate's subject, as Python's ssl module gives it, in OpenSSL's slash-separated form."""
    return "".join(f"/{_SHORT.get(name, name)}={_escaped(value)}" for part in subject for name, value in part)


def _escaped(value: str) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02X}" for byte in value.encode())
