"""A server with every kind of credential behind real TLS, and callers that have them."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from birdbath.credentials.passwords import change, hash_password
from birdbath.credentials.tokens import IdTokens, new_signing_key
from tests.guard.authority import Authority
from tests.server_process import ServerProcess, running_server
from tests.soap.wire import envelope, operation

ACCOUNTS = ("owner", "other", "root", "boss")
SCITOKENS = "https://scitokens.example.org/birdbath"
ISSUER = "https://issuer.example.org"
AUDIENCE = "https://birdbath.example.org"
DOMAIN = "birdbath.example.org"
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"


@dataclass(frozen=True)
class Credential:
    """What a request brings: headers, the content of a SOAP header made anew each time, a certificate."""

    headers: dict[str, str] = field(default_factory=dict)
    soap_header: Callable[[], str] | None = None
    certificate: Path | None = None


@dataclass(frozen=True)
class Answer:
    """HTTP status, headers, and the status code or fault text of the reply."""

    http: int
    headers: dict[str, str]
    text: str

    @property
    def verdict(self) -> str:
        """The status code, "OK" for a reply without one, "FAULT", or the HTTP status of a refusal."""
        if self.http not in (200, 500):
            return str(self.http)
        if "<faultstring>" in self.text:
            return "FAULT"
        found = re.search(r"<code>(\w+)</code>", self.text)
        return found[1] if found else "OK"

    @property
    def message(self) -> str:
        found = re.search(r"<(?:message|faultstring)>([^<]*)", self.text)
        return found[1] if found else ""

    def number(self, name: str) -> int:
        found = re.search(rf"<{name}>(\d+)", self.text)
        assert found, self.text
        return int(found[1])


@dataclass
class World:
    """The server, and how each account proves itself in each way."""

    server: ServerProcess
    authority: Authority
    keys: Path
    id_tokens: IdTokens
    issuer_key: rsa.RSAPrivateKey
    path: str = "/"

    def call(self, credential: Credential, name: str, children: str = "", **headers: str) -> Answer:
        soap = f"<e:Header>{credential.soap_header()}</e:Header>" if credential.soap_header else ""
        return self.post(credential, envelope(operation(name, children), header=soap), **headers)

    def post(self, credential: Credential, body: bytes, **headers: str) -> Answer:
        return self.request("POST", self.path, credential, body, **headers)

    def request(
        self, method: str, path: str, credential: Credential, body: bytes | None = None, **headers: str
    ) -> Answer:
        address = urlsplit(self.server.url)
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=self.context(credential.certificate), timeout=60
        )
        sent = {"Content-Type": "text/xml; charset=utf-8"} | credential.headers
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            connection.request(method, path, body, sent)
            reply = connection.getresponse()
            received = {name.lower(): value for name, value in reply.headers.items()}
            return Answer(reply.status, received, reply.read().decode())

    def context(self, certificate: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.path)
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    # The ways of proving an account

    def basic(self, account: str, password: str | None = None) -> Credential:
        pair = f"{account}:{password or 'secret-' + account}".encode()
        return Credential({"Authorization": "Basic " + base64.b64encode(pair).decode()})

    def certificate(self, account: str) -> Credential:
        return Credential(certificate=self.authority.client(account).path)

    def id_token(self, account: str, *authorizations: str, lifetime: int | None = 600) -> Credential:
        token = self.id_tokens.create(f"{account}@{DOMAIN}", lifetime, authorizations)
        return Credential({"Authorization": f"Bearer {token}"})

    def access_token(self, account: str, **claims: object) -> Credential:
        now = int(time.time())
        payload = {"iss": ISSUER, "sub": account, "aud": AUDIENCE, "iat": now, "exp": now + 600} | claims
        token = jwt.encode(payload, self.issuer_key, "RS256", headers={"kid": "one"})
        return Credential({"Authorization": f"Bearer {token}"})

    def sci_token(self, account: str) -> Credential:
        now = int(time.time())
        scope = " ".join(
            f"condor:/{level}" for level in ("READ", "WRITE", "ADMINISTRATOR", "ADVERTISE_STARTD")
        )
        payload = {
            "iss": SCITOKENS,
            "sub": f"sub-of-{account}",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 600,
        }
        payload |= {"ver": "scitoken:2.0", "scope": scope}
        token = jwt.encode(payload, self.issuer_key, "RS256", headers={"kid": "one"})
        return Credential({"Authorization": f"Bearer {token}"})

    def username_text(self, account: str, password: str | None = None) -> Credential:
        text = password or f"secret-{account}"
        return Credential(soap_header=lambda: security(account, f"<w:Password>{text}</w:Password>"))

    def username_digest(self, account: str) -> Credential:
        return Credential(soap_header=lambda: digest(account, f"secret-{account}"))


def security(account: str, rest: str, attributes: str = "") -> str:
    return (
        f'<w:Security xmlns:w="{WSS}wssecurity-secext-1.0.xsd" xmlns:u="{WSS}wssecurity-utility-1.0.xsd"'
        f"{attributes}><w:UsernameToken><w:Username>{account}</w:Username>{rest}</w:UsernameToken></w:Security>"
    )


def digest(account: str, password: str, nonce: bytes | None = None, created: str | None = None) -> str:
    raw = nonce or secrets.token_bytes(16)
    when = created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    value = base64.b64encode(hashlib.sha1(raw + when.encode() + password.encode()).digest()).decode()
    kind = f"{WSS}username-token-profile-1.0#PasswordDigest"
    return security(
        account,
        f'<w:Password Type="{kind}">{value}</w:Password><w:Nonce>{base64.b64encode(raw).decode()}</w:Nonce>'
        f"<u:Created>{when}</u:Created>",
        ' e:mustUnderstand="1"',
    )


NOBODY = Credential()


@contextmanager
def world(folder: Path, tables: str = "", **settings: object) -> Iterator[World]:
    """The server: `root` is a super-user, `boss` an administrator, `owner` and `other` are users.

    `tables` end its settings file.
    """
    authority = Authority(folder / "ca")
    passwords, digests, mapfile = folder / "passwords", folder / "digests", folder / "mapfile"
    for account in ACCOUNTS:
        change(passwords, account, hash_password(f"secret-{account}"))
        change(digests, account, hash_password(f"secret-{account}", clear=True))
    change(passwords, "webby", bcrypt.hashpw(b"secret-webby", bcrypt.gensalt(4)).decode())
    mapfile.write_text(
        '# as condor had them\nSSL "/C=DE/O=Example/CN=(\\w+)$" \\1\nGSI .* nobody\n'
        f'SCITOKENS "^{SCITOKENS},sub-of-(\\w+)$" \\1\n'
    )
    pool_key = folder / "POOL"
    pool_key.write_bytes(new_signing_key())
    issuer_key = rsa.generate_private_key(65537, 2048)
    keys = folder / "jwks.json"
    write_keys(keys, "one", issuer_key)
    table = [
        {"method": "certificate", "mapfile": str(mapfile)},
        {"method": "basic", "passwords": str(passwords)},
        {"method": "usernametoken", "passwords": str(digests)},
        {"method": "idtoken", "trust_domain": DOMAIN, "key": str(pool_key)},
        {"method": "oidc", "issuer": ISSUER, "keys": str(keys), "audience": [AUDIENCE]},
        {
            "method": "scitoken",
            "issuer": SCITOKENS,
            "keys": str(keys),
            "audience": [AUDIENCE],
            "mapfile": str(mapfile),
        },
    ]
    chosen: dict[str, object] = {
        "authentication": table,
        "tls_certificate": str(authority.server().path),
        "tls_client_ca": str(authority.path),
        "tls_client_certificates": "optional",
        "queue_super_users": ["root"],
        "allow_administrator": ["boss"],
        "allow_advertise": ["boss"],
    }
    file = folder / "birdbath.toml"
    lines = (f"{key} = {toml(value)}" for key, value in (chosen | settings).items())
    file.write_text("\n".join(lines) + f"\n{tables}")
    with running_server(folder / "home", "--config", str(file)) as server:
        yield World(server, authority, keys, IdTokens(DOMAIN, pool_key), issuer_key)


def toml(value: object) -> str:
    """JSON is TOML but for the tables in lists."""
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def write_keys(path: Path, kid: str, key: rsa.RSAPrivateKey) -> None:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    path.write_text(json.dumps({"keys": [public | {"kid": kid, "use": "sig", "alg": "RS256"}]}))
