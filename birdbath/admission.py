"""Who is let in, as the settings say it: the lists of who may do what, the credential table, and where the
server may listen without one.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from birdbath.access import AccessRules, Level
from birdbath.access.table import BasicRow, CertificateRow, IdTokenRow, IssuerRow, UsernameTokenRow
from birdbath.credentials.keys import KeyFile, KeyUrl
from birdbath.credentials.mapfile import MapFiles
from birdbath.credentials.passwords import PasswordFiles
from birdbath.credentials.rereading import Files
from birdbath.credentials.tokens import IdTokens, IssuedTokens, Issuer
from birdbath.credentials.username_tokens import UsernameTokens
from birdbath.errors import BirdbathError
from birdbath.http.authentication import Authentication, Credential
from birdbath.http.credentials import Basic, Bearer, Certificate, Checks, SoapHeader
from birdbath.http.tls import ServerTls, TlsFiles
from birdbath.settings import LEVELS, Settings

LOOPBACK = ("127.0.0.0/8", "::1")


class UnsafeToListen(BirdbathError):
    """The server would answer the network without asking anybody who he is."""


def is_asking(settings: Settings) -> bool:
    """Whether callers are asked who they are."""
    return bool(settings.authentication)


def all_users_trusted(settings: Settings) -> bool:
    """QUEUE_ALL_USERS_TRUSTED as set, else whether nobody is asked."""
    chosen = settings.queue_all_users_trusted
    return not is_asking(settings) if chosen is None else chosen


def check_listening(settings: Settings) -> None:
    """Raise UnsafeToListen unless the address is loopback, callers are asked who they are, or the settings
    say that they need not be.
    """
    if is_asking(settings) or settings.without_authentication or is_loopback(settings.host):
        return
    raise UnsafeToListen(
        f"Refusing to listen on {settings.host}: anybody who reaches it could do anything, because no"
        " authentication is configured. Configure it, listen on 127.0.0.1, or say --without-authentication"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def access_rules(settings: Settings) -> AccessRules:
    """The lists of the settings, the default where one is empty. Raises InvalidRule."""
    defaults = _defaults(settings)
    return AccessRules.of(
        {Level(name): getattr(settings, f"allow_{name}") or defaults[name] for name in LEVELS},
        {Level(name): getattr(settings, f"deny_{name}") for name in LEVELS},
    )


def _defaults(settings: Settings) -> dict[str, tuple[str, ...]]:
    if not is_asking(settings):
        return {"read": ("*",), "write": ("*",), "advertise": ("*",), "administrator": LOOPBACK}
    known, chosen = ("authenticated",), settings.queue_super_users
    return {"read": known, "write": known, "advertise": chosen, "administrator": chosen}


def authentication(settings: Settings) -> Authentication:
    """The credential table of the settings at work; several rows of a method are as one of several files.
    Raises UnusableCredentials, InvalidRule."""
    checks, files, domain = Checks(), Files(), settings.uid_domain
    rows = settings.authentication
    credentials: list[Credential] = []
    issuers: dict[str, list[Issuer]] = {}
    for row in rows:
        if isinstance(row, IdTokenRow | IssuerRow):
            issuer = _issuer(row, files)
            issuers.setdefault(issuer.issuer, []).append(issuer)
    if issuers:
        credentials.append(Bearer(issuers, domain, checks))
    if basic := [row.passwords for row in rows if isinstance(row, BasicRow)]:
        credentials.append(Basic(PasswordFiles(*basic, files=files), checks))
    if mapped := [row.mapfile for row in rows if isinstance(row, CertificateRow)]:
        credentials.append(Certificate(MapFiles(*mapped, files=files), domain))
    soap_header = None
    if named := [row.passwords for row in rows if isinstance(row, UsernameTokenRow)]:
        soap_header = SoapHeader(UsernameTokens(PasswordFiles(*named, files=files)), checks)
    return Authentication(credentials, access_rules(settings), soap_header, files)


def _issuer(row: IdTokenRow | IssuerRow, files: Files) -> Issuer:
    if isinstance(row, IdTokenRow):
        return IdTokens(row.trust_domain, row.key, row.max_age, files)
    keys = KeyFile(row.keys, files) if row.keys else KeyUrl(row.issuer, row.keys_url)
    mapfile = MapFiles(row.mapfile, files=files) if row.mapfile else None
    method = "OIDC" if row.method == "oidc" else "SCITOKENS"
    return IssuedTokens(row.issuer, keys, row.audience, method, row.claim, mapfile)


def tls(settings: Settings) -> ServerTls | None:
    """TLS as the settings have it; None without. Raises UnusableCertificate, and UnsafeToListen for client
    certificates that nothing verifies or nobody maps.
    """
    asks_certificates = any(isinstance(row, CertificateRow) for row in settings.authentication)
    wants = settings.tls_client_certificates
    if (wants != "none" or asks_certificates) and not settings.tls_client_ca:
        raise UnsafeToListen("Client certificates need tls_client_ca, the authorities that verify them")
    if asks_certificates and wants == "none":
        raise UnsafeToListen("Client certificates need tls_client_certificates = optional or required")
    if settings.tls_certificate is None:
        if wants != "none":
            raise UnsafeToListen("Client certificates need TLS: set tls_certificate")
        return None
    files = TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, wants)
    return ServerTls(files)


def own_hosts(settings: Settings) -> tuple[str, ...]:
    """The names by which clients may call the server: those allowed, the machine's, the public URL's."""
    names = [*settings.allowed_hosts, socket.gethostname()]
    if settings.public_url:
        names.append(urlsplit(settings.public_url).hostname or "")
    if not _is_address(settings.host):
        names.append(settings.host)
    return tuple(name for name in names if name)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
