"""TLS in the server itself: 1.2 and up, with certificates that are read again when they changed."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from birdbath.errors import BirdbathError

_log = logging.getLogger(__name__)

ClientCertificates = Literal["none", "optional", "required"]
_VERIFY = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class UnusableCertificate(BirdbathError):
    """A certificate, key or authority file cannot be used; the text names it."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the certificate with its chain, its key (None: in the same file), and the authorities that
    client certificates are verified against.
    """

    certificate: Path
    key: Path | None = None
    client_authorities: Path | None = None
    client_certificates: ClientCertificates = "none"

    def stamps(self) -> tuple[tuple[int, int] | None, ...]:
        """Changes when any of the files does."""
        files = (self.certificate, self.key, self.client_authorities)
        return tuple(_stamp(file) for file in files if file is not None)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


class ServerTls:
    """A TLS context that follows its files: `look` makes new connections use what is in them now.

    Raises UnusableCertificate when they cannot be used at the start. Later, files that cannot be used leave
    the context as it is, and the log says so once.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen = files.stamps()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        # No renegotiation and no compression: each has been a way in.
        self.context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        _load(self.context, files)
        self.context.verify_mode = _VERIFY[files.client_certificates]

    def look(self) -> bool:
        """Read the files again if they changed; whether they were."""
        stamps = self._files.stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            # First into a context of its own: half of a pair must not get into the one in use.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._files)
            _load(self.context, self._files)
        except UnusableCertificate as error:
            _log.error("The new certificate is not used: %s", error)
            return False
        _log.info("The certificate was read again")
        return True


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
        if files.client_authorities is not None:
            context.load_verify_locations(files.client_authorities)
    except ssl.SSLError as error:
        named = ", ".join(str(f) for f in (files.certificate, files.key, files.client_authorities) if f)
        raise UnusableCertificate(f"Cannot use {named}: {error.reason or error}") from None
    except OSError as error:
        name = error.filename or files.certificate
        raise UnusableCertificate(f"Cannot read {name}: {error.strerror}") from None


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise UnusableCertificate("The key is encrypted; it has to be in the clear, readable by the server only")
