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
    """TLS contexts that follow their files: after `look`, `context` is one of what is in them now.

    Raises UnusableCertificate when they cannot be used at the start. Later, files that cannot be used leave
    the context as it is, and the log says so once. `trust` grows when other authorities are trusted.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._seen = files.stamps()
        self.context = _context(files)
        self.trust = 0

    def look(self) -> bool:
        """Read the files again if they changed; whether they were.

        A context that is in use forgets no authority that it has loaded, and lets clients resume sessions
        whose certificates it verified before: what is no longer trusted is so in a new one only.
        """
        stamps = self._files.stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        former = self.context
        try:
            self.context = _context(self._files)
        except UnusableCertificate as error:
            _log.error("The new certificate is not used: %s", error)
            return False
        self.trust += former.get_ca_certs(binary_form=True) != self.context.get_ca_certs(binary_form=True)
        _log.info("The certificate was read again")
        return True


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # No renegotiation and no compression: each has been a way in.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    _load(context, files)
    context.verify_mode = _VERIFY[files.client_certificates]
    return context


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
