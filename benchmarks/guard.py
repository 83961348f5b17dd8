"""What it costs to know the caller; many idle connections; and twice as much as the server can take."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
import socket
import ssl
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.figures import Figure, alternated, compared
from benchmarks.load import Program, Step, drive
from benchmarks.messages import message
from benchmarks.scale import Scale
from benchmarks.servers import Server, birdbath
from benchmarks.small_calls import CONNECTIONS, VERSION, cpu_per_call
from birdbath.credentials.passwords import change, hash_password
from birdbath.credentials.tokens import IdTokens, new_signing_key
from tests.guard.authority import Authority
from tests.guard.world import write_keys

GROUP = "guard"
HELD = 1000
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_PASSWORD = "a good password"
_ISSUERS = {"scitoken": "https://scitokens.example.org", "oidc": "https://oidc.example.org"}
_NAMES = {"scitoken": "SciToken", "oidc": "OIDC access token"}


def figures(folder: Path, scale: Scale) -> list[Figure]:
    """All of them."""
    return [*_authentication(folder, scale), *_held(folder, scale), *_overload(folder, scale)]


def _authentication(folder: Path, scale: Scale) -> list[Figure]:
    """A small call with each kind of credential against one without, on servers that do and do not ask.

    Over plain HTTP within the machine, so that TLS, which costs the same with and without, hides nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    change(folder / "passwords", "ann", hash_password(_PASSWORD))
    change(folder / "digests", "ann", hash_password(_PASSWORD, clear=True))
    (folder / "POOL").write_bytes(new_signing_key())
    key = rsa.generate_private_key(65537, 2048)
    write_keys(folder / "keys", "one", key)
    table = (
        f'[{{"method": "basic", "passwords": "{folder}/passwords"}},'
        f'{{"method": "usernametoken", "passwords": "{folder}/digests"}},'
        f'{{"method": "idtoken", "trust_domain": "here", "key": "{folder}/POOL"}},'
        + ",".join(
            f'{{"method": "{method}", "issuer": "{issuer}", "keys": "{folder}/keys", "audience": ["here"]}}'
            for method, issuer in _ISSUERS.items()
        )
        + "]"
    )
    bearers = {"IDTOKEN": IdTokens("here", folder / "POOL").create("ann@here")}
    bearers |= {method: _access_token(key, issuer) for method, issuer in _ISSUERS.items()}
    basic = base64.b64encode(f"ann:{_PASSWORD}".encode()).decode()
    ways = {
        "HTTP Basic": Step(VERSION.body, headers=f"Authorization: Basic {basic}"),
        "UsernameToken, text": Step(_with_token(f"<w:Password>{_PASSWORD}</w:Password>")),
    }
    for way, token in bearers.items():
        ways[_NAMES.get(way, way)] = Step(VERSION.body, headers=f"Authorization: Bearer {token}")
    with (
        birdbath(folder / "open") as open_server,
        birdbath(folder / "asking", authentication=table) as asking,
    ):
        for step in ways.values():  # the first of each is checked, the others are remembered
            drive(asking.port, Program([step]), 1, 1)
        costs = alternated(
            [
                partial(cpu_per_call, open_server, VERSION, scale.calls),
                *(partial(cpu_per_call, asking, step, scale.calls) for step in ways.values()),
            ],
            scale.repeats,
        )
    none, *each = costs
    told = [
        compared(GROUP, f"{way}, CPU", cost * 1e6, "us", "no credential", none * 1e6, at_most=1.2)
        for way, cost in zip(ways, each, strict=True)
    ]
    return [*told, _digest(folder, table, scale), _certificate(folder, scale)]


def _access_token(key: rsa.RSAPrivateKey, issuer: str) -> str:
    """What a SciToken and an OIDC access token have in common, and each has to have."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": "ann",
        "aud": "here",
        "iat": now,
        "exp": now + 3600,
        "ver": "scitoken:2.0",
    }
    claims["scope"] = "condor:/READ condor:/WRITE"
    return jwt.encode(claims, key, "RS256", headers={"kid": "one"})


def _digest(folder: Path, table: str, scale: Scale) -> Figure:
    """Each call with a digest is another, so it is compared with calls that come as these do: of a list."""
    calls = min(scale.calls, 4000)
    with birdbath(folder / "digest", authentication=table) as server:
        digest, none = alternated(
            [lambda: _one_each(server, _digests(calls)), lambda: _one_each(server, [VERSION] * calls)],
            scale.repeats,
        )
    name = "UsernameToken, digest, CPU"
    return compared(GROUP, name, digest * 1e6, "us", "no credential", none * 1e6, at_most=1.2)


def _certificate(folder: Path, scale: Scale) -> Figure:
    """A call on a TLS connection whose client has shown a certificate, against one on which it has not."""
    authority = Authority(folder / "ca")
    mapfile = folder / "mapfile"
    mapfile.write_text('SSL "CN=(\\w+)$" \\1\n')
    contexts = [ssl.create_default_context(cafile=authority.path) for _ in range(2)]
    contexts[0].load_cert_chain(authority.client("ann").path)
    settings = {
        "tls_certificate": str(authority.server().path),
        "tls_client_ca": str(authority.path),
        "tls_client_certificates": "optional",
        "authentication": f'[{{"method": "certificate", "mapfile": "{mapfile}"}}]',
    }
    calls = min(scale.calls, 2000)
    with birdbath(folder / "tls", **settings) as server:
        shown, none = alternated(
            [partial(_over_tls, server, context, calls) for context in contexts], scale.repeats
        )
    name = "client certificate, CPU"
    return compared(GROUP, name, shown * 1e6, "us", "TLS without one", none * 1e6, at_most=1.2)


def _over_tls(server: Server, context: ssl.SSLContext, calls: int) -> float:
    """CPU of a call after the first on a connection."""
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=60)
    with closing(connection):
        for call in range(calls + 1):
            if call == 1:
                started = server.cpu()
            connection.request("POST", "/", VERSION.body, {"Content-Type": "text/xml"})
            reply = connection.getresponse()
            assert reply.status == 200, reply.read()
            reply.read()
        return (server.cpu() - started) / calls


def _with_token(rest: str) -> bytes:
    header = (
        f'<w:Security xmlns:w="{_WSS}wssecurity-secext-1.0.xsd" xmlns:u="{_WSS}wssecurity-utility-1.0.xsd">'
        f"<w:UsernameToken><w:Username>ann</w:Username>{rest}</w:UsernameToken></w:Security>"
    )
    start, body, end = VERSION.body.partition(b"<e:Body")
    assert body, "the message has no Body where it was looked for"
    return start + f"<e:Header>{header}</e:Header>".encode() + body + end


def _one_each(server: Server, steps: list[Step]) -> float:
    """CPU of a call, each of the steps once."""
    started = server.cpu()
    drive(server.port, Program(steps, in_turn=True), CONNECTIONS, len(steps))
    return (server.cpu() - started) / len(steps)


def _digests(calls: int) -> list[Step]:
    steps = []
    for _ in range(calls):
        nonce, created = secrets.token_bytes(16), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hashlib.sha1(nonce + created.encode() + _PASSWORD.encode(), usedforsecurity=False).digest()
        kind = f"{_WSS}username-token-profile-1.0#PasswordDigest"
        steps.append(
            Step(
                _with_token(
                    f'<w:Password Type="{kind}">{base64.b64encode(digest).decode()}</w:Password>'
                    f"<w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce><u:Created>{created}</u:Created>"
                )
            )
        )
    return steps


def _held(folder: Path, scale: Scale) -> list[Figure]:
    """The memory of idle connections, and what a call costs beside them."""
    with birdbath(folder / "held") as server, ExitStack() as held:
        alone = cpu_per_call(server, VERSION, scale.calls)
        before = server.resident()
        for _ in range(HELD):
            held.enter_context(_kept_open(server))
        memory = (server.resident() - before) / HELD
        beside = cpu_per_call(server, VERSION, scale.calls)
    return [
        Figure(GROUP, f"memory of each of {HELD:,} idle connections", memory / 1024, "KiB"),
        compared(
            GROUP,
            f"small call beside {HELD:,} connections, CPU",
            beside * 1e6,
            "us",
            "alone",
            alone * 1e6,
            1.2,
        ),
    ]


def _kept_open(server: Server) -> socket.socket:
    """A connection on which a call was answered."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(VERSION.body) + VERSION.body)
    connection.recv(65536)
    return connection


def _overload(folder: Path, scale: Scale) -> list[Figure]:
    """Twice as many callers at a time as are let in: what is answered, and how soon the others know."""
    limit = 16
    begin = Step(message("beginTransaction", "<duration>60</duration>"))
    settings = {"max_transactions_per_owner": "0"}
    with birdbath(folder / "enough", **settings) as server:
        program = Program([begin])
        fair = scale.calls / drive(server.port, program, limit, scale.calls).seconds
    with birdbath(folder / "excess", max_requests=str(limit), **settings) as server:
        loaded = drive(server.port, Program([begin], refusals=True), 2 * limit, scale.calls)
        refusal = _refusal_seconds(server, limit)
    answered = loaded.count / loaded.seconds
    return [
        compared(
            GROUP, "answered at twice the capacity", answered, "calls/s", "at capacity", fair, at_least=0.9
        ),
        Figure(
            GROUP, "refused with 503 at twice the capacity", loaded.refused / loaded.count, "of all calls"
        ),
        Figure(GROUP, "time to a 503 while all places are taken", refusal * 1e3, "ms"),
    ]


def _refusal_seconds(server: Server, limit: int) -> float:
    with ExitStack() as held:
        for _ in range(limit):
            waiting = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            waiting.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n<")
        time.sleep(0.5)  # until the server has read all of them
        started = time.perf_counter()
        _kept_open(server).close()
        return time.perf_counter() - started


__all__ = ["CONNECTIONS", "figures"]
