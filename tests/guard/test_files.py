"""Password files, map files and signing keys, without a server."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from birdbath.access import Level
from birdbath.credentials import UnusableCredentials, WrongCredential
from birdbath.credentials.keys import KeyUrl
from birdbath.credentials.mapfile import account_of, one_line, parse
from birdbath.credentials.passwords import PasswordFiles, change, hash_password, make_secret
from birdbath.credentials.rereading import Reread
from birdbath.credentials.tokens import IdTokens, limits, new_signing_key, signing_key, unscrambled
from birdbath.credentials.username_tokens import WINDOW, UsernameTokens

MAP = r"""
# SOAP_SSL deployments
SSL "^/C=US/O=Condor Project/CN=Alice B$" alice
SSL ^/DC=org/DC=example/CN=([a-z]+)$ \1@example.org
ssl /^\/O=Case\/CN=(.*)$/i \1
GSI .* gsi
SCITOKENS https://issuer.example.org,([a-z]+) \1
SSL .* anybody
"""


@pytest.mark.parametrize(
    ("method", "name", "account"),
    [
        ("SSL", "/C=US/O=Condor Project/CN=Alice B", "alice"),
        ("SSL", "/DC=org/DC=example/CN=bob", "bob@example.org"),
        ("SSL", "/o=CASE/cn=Carol", "Carol"),
        ("SSL", "/O=else", "anybody"),
        ("SCITOKENS", "https://issuer.example.org,dave", "dave"),
        ("SCITOKENS", "https://issuer.example.org,DAVE", None),
        ("KERBEROS", "x", None),
    ],
)
def test_map_files(method: str, name: str, account: str | None) -> None:
    assert account_of(parse(MAP.encode()), method, name) == account


@pytest.mark.parametrize("line", ["SSL /CN=x", "SSL ( x", 'SSL "unclosed x'])
def test_a_map_file_with_a_bad_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse(line.encode())


def test_a_subject_in_one_line() -> None:
    subject = ((("countryName", "DE"),), (("domainComponent", "org"),), (("commonName", "Zoë/x"),))
    assert one_line(subject) == "/C=DE/DC=org/CN=Zo\\xC3\\xAB/x"


def test_a_password_file_is_private_and_changes_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    assert not change(path, "ann", hash_password("first password"))
    assert not change(path, "bob", hash_password("bob's password", clear=True))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "first" not in path.read_text()
    file = PasswordFiles(path)
    file.check("ann", "first password")
    assert file.clear_password("bob") == b"bob's password"
    for account, password in (("ann", "second"), ("eve", "first password"), ("ann", "x" * 5000)):
        with pytest.raises(WrongCredential):
            file.check(account, password)
    with pytest.raises(WrongCredential):
        file.clear_password("ann")


def test_a_nonce_counts_once_for_as_long_as_its_time_is_believed(tmp_path: Path) -> None:
    change(tmp_path / "passwords", "ann", hash_password("hers", clear=True))
    now = [1e9]
    tokens = UsernameTokens(PasswordFiles(tmp_path / "passwords"), lambda: now[0])

    def check(number: int, moment: float) -> bool:
        nonce, created = b"%d" % number, datetime.fromtimestamp(moment, UTC).isoformat()
        digest = hashlib.sha1(nonce + created.encode() + b"hers", usedforsecurity=False).digest()
        try:
            tokens.check_digest("ann", b64encode(digest).decode(), b64encode(nonce).decode(), created)
        except WrongCredential:
            return False
        return True

    start = now[0]
    for number in range(25):  # at times that lie before, at and after those at which nonces are forgotten
        ahead = now[0] + WINDOW
        assert check(number, ahead)
        assert not check(number, ahead)
        now[0] = start + number * 0.31 * WINDOW
    now[0] = start
    for step in range(41):
        now[0] = start + 100 * WINDOW + step * WINDOW / 20
        assert check(100, start + 101 * WINDOW) is (step == 0)
    now[0] += 10 * WINDOW
    assert check(100, now[0])


def use_nonce(tokens: UsernameTokens, account: str, nonce: bytes) -> None:
    created = datetime.fromtimestamp(1e9, UTC).isoformat()
    digest = hashlib.sha1(nonce + created.encode() + b"secret", usedforsecurity=False).digest()
    tokens.check_digest(account, b64encode(digest).decode(), b64encode(nonce).decode(), created)


def test_one_account_s_nonces_do_not_keep_others_out(tmp_path: Path) -> None:
    now = [1e9]
    path = tmp_path / "passwords"
    for account in ("ann", "bob", "eve"):
        change(path, account, hash_password("secret", clear=True))
    tokens = UsernameTokens(PasswordFiles(path), lambda: now[0], max_nonces=5, max_nonces_of_one=3)
    for nonce in (b"1", b"2", b"3"):
        use_nonce(tokens, "eve", nonce)
    with pytest.raises(WrongCredential, match="too many"):
        use_nonce(tokens, "eve", b"4")
    use_nonce(tokens, "ann", b"1")  # each account has nonces of its own
    use_nonce(tokens, "bob", b"1")
    with pytest.raises(WrongCredential, match="too many"):
        use_nonce(tokens, "ann", b"2")


def test_nonces_are_kept_short_however_long_they_are(tmp_path: Path) -> None:
    change(tmp_path / "passwords", "ann", hash_password("secret", clear=True))
    tokens = UsernameTokens(PasswordFiles(tmp_path / "passwords"), lambda: 1e9)
    many = 2000
    nonces = [b"%d" % number + bytes(768) for number in range(many)]
    tracemalloc.start()
    for nonce in nonces:
        use_nonce(tokens, "ann", nonce)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200 * many
    with pytest.raises(WrongCredential, match="before"):
        use_nonce(tokens, "ann", nonces[0])


@pytest.mark.parametrize("line", ["ann", "ann:plain", "a b:$2y$05$x", "ann:$apr1$x$y"])
def test_a_password_file_with_a_bad_line_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "passwords").write_text(f"# comment\n{line}\n")
    with pytest.raises(UnusableCredentials, match="line 2"):
        PasswordFiles(tmp_path / "passwords")


@pytest.mark.parametrize("kept", [f"$2b$12${'!' * 53}", f"$2b$99${'a' * 53}", "$argon2id$x"])
def test_nothing_is_the_password_of_what_only_looks_like_a_hash(tmp_path: Path, kept: str) -> None:
    (tmp_path / "passwords").write_text(f"ann:{kept}\n")
    with pytest.raises(WrongCredential):
        PasswordFiles(tmp_path / "passwords").check("ann", "a good password")


def test_a_file_is_read_again_and_a_broken_one_is_not_used(tmp_path: Path) -> None:
    now = [0.0]
    path = tmp_path / "number"
    path.write_text("1")
    number = Reread(path, int, lambda: now[0])
    path.write_text("22")
    assert number.content == 1
    now[0] += 2
    assert (number.content, number.version) == (22, 1)
    path.write_text("nonsense")
    now[0] += 2
    assert number.content == 22
    path.unlink()
    now[0] += 2
    assert number.content == 22


def test_a_file_that_breaks_is_told_of_once_for_each_of_its_states(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    path = tmp_path / "number"

    def parse(data: bytes) -> int:
        if b"%" in data:
            raise ValueError("line 1 is no number")
        return int(data.decode())

    def look() -> str | None:
        now[0] += 2
        return number.look()

    path.write_text("1")
    number = Reread(path, parse, lambda: now[0])
    caplog.set_level(logging.INFO)
    assert look() is None
    path.write_text("% the secret")
    assert [look() for _ in range(3)] == [f"{path}: line 1 is no number"] * 3
    assert number.content == 1
    path.write_bytes(b"the secret \xff")
    assert [look() for _ in range(3)] == [f"{path}: byte 12 is not UTF-8"] * 3
    path.unlink()
    assert [look() for _ in range(3)] == [f"Cannot read {path}: No such file or directory"] * 3
    path.write_text("2")
    assert look() is None
    assert number.content == 2
    levels = [record.levelname for record in caplog.records]
    assert levels == ["ERROR", "ERROR", "ERROR", "INFO"]
    assert "secret" not in caplog.text


def test_a_file_that_was_put_back_as_it_was_is_well_again(tmp_path: Path) -> None:
    now = [0.0]
    path, kept = tmp_path / "number", tmp_path / "kept"
    path.write_text("1")
    number = Reread(path, int, lambda: now[0])
    path.rename(kept)
    now[0] += 2
    assert number.look() is not None
    kept.rename(path)
    now[0] += 2
    assert number.look() is None


def test_the_pool_s_key_is_doubled_and_others_are_not() -> None:
    data = unscrambled(b"secret")
    assert data != b"secret"
    assert signing_key(data, "POOL") == signing_key(unscrambled(b"secretsecret"), "LOCAL")
    assert signing_key(data, "POOL") != signing_key(data, "LOCAL")
    assert len(signing_key(new_signing_key(), "POOL")) == 32


def test_id_tokens_expire_and_can_be_too_old(tmp_path: Path) -> None:
    (tmp_path / "POOL").write_bytes(new_signing_key())
    tokens = IdTokens("here", tmp_path / "POOL")
    proof = tokens.prove(tokens.create("ann@here", 60, ["READ"]))
    assert (proof.name, proof.levels) == ("ann@here", frozenset({Level.READ}))
    with pytest.raises(WrongCredential):
        tokens.prove(tokens.create("ann@here", -3600))
    with pytest.raises(WrongCredential):
        IdTokens("there", tmp_path / "POOL").prove(tokens.create("ann@here"))


def test_scopes() -> None:
    assert limits("openid profile") is None
    assert limits(None) is None
    assert limits("condor:/WRITE") == frozenset({Level.READ, Level.WRITE})
    assert limits("condor:/ADVERTISE_STARTD compute.read") == frozenset({Level.ADVERTISE, Level.READ})
    assert not limits("condor:/UNHEARD_OF")
    assert limits("condor:/UNHEARD_OF") is not None


def test_keys_are_fetched_seldom_and_found_by_the_issuer_s_metadata() -> None:
    now = [0.0]
    asked = []

    def get(url: str) -> bytes:
        asked.append(url)
        if url.endswith("openid-configuration"):
            return b'{"jwks_uri": "https://issuer.example.org/keys"}'
        return b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}]}'

    keys = KeyUrl("https://issuer.example.org/", None, get, lambda: now[0])
    assert keys.key({"kid": "one"})
    for number in range(100):
        with pytest.raises(WrongCredential):
            keys.key({"kid": f"made up {number}"})
    assert asked == [
        "https://issuer.example.org/.well-known/openid-configuration",
        "https://issuer.example.org/keys",
    ]
    now[0] += 61
    with pytest.raises(WrongCredential):
        keys.key({"kid": "made up"})
    assert len(asked) == 4


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], bool]], list[bool]]:
    """What does two pieces of work, the second of which begins when the first has its file ready: it has
    ended or waits for it when that is put in its place.
    """
    lock, replace = fcntl.flock, os.replace
    ended_or_waits = threading.Event()

    def flock(descriptor: int, operation: int) -> None:
        ended_or_waits.set()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)

    def do(work: Callable[[str], bool]) -> list[bool]:
        with ThreadPoolExecutor(1) as pool:
            second = []

            def replacing(*paths: Any) -> None:
                monkeypatch.setattr(os, "replace", replace)
                ended_or_waits.clear()
                second.append(pool.submit(work, "second"))
                second[0].add_done_callback(lambda _: ended_or_waits.set())
                assert ended_or_waits.wait(60)
                replace(*paths)

            monkeypatch.setattr(os, "replace", replacing)
            return [work("first"), second[0].result(60)]

    return do


def test_of_two_who_change_a_password_file_at_once_nobody_s_change_is_lost(
    tmp_path: Path, twice: Callable[[Callable[[str], bool]], list[bool]]
) -> None:
    path = tmp_path / "passwords"
    twice(lambda account: change(path, account, "{CLEAR}a good password"))
    for account in ("first", "second"):
        PasswordFiles(path).check(account, "a good password")
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_who_make_a_signing_key_at_once_one_is_told_that_it_is_there(
    tmp_path: Path, twice: Callable[[Callable[[str], bool]], list[bool]]
) -> None:
    path = tmp_path / "POOL"
    assert twice(lambda data: make_secret(path, data.encode())) == [True, False]
    assert path.read_text() == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def birdbath(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "birdbath", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_make_what_the_server_takes(tmp_path: Path) -> None:
    passwords, key = tmp_path / "passwords", tmp_path / "POOL"
    added = birdbath("passwd", str(passwords), "ann", stdin="a good password\n")
    assert (added.returncode, added.stdout) == (0, f"Added ann in {passwords}\n")
    PasswordFiles(passwords).check("ann", "a good password")
    assert birdbath("passwd", str(passwords), "ann", stdin="short\n").returncode == 1
    assert birdbath("passwd", str(passwords), "a:b", stdin="a good password\n").returncode == 1
    blank = birdbath("passwd", str(passwords), "eve", "--clear", stdin="a good password \n")
    assert (blank.returncode, blank.stderr.count("\n")) == (1, 1)
    (tmp_path / "latin").write_bytes("jörg:x".encode("latin-1"))
    latin = birdbath("passwd", str(tmp_path / "latin"), "ann", stdin="a good password\n")
    assert (latin.returncode, latin.stderr) == (1, f"birdbath: {tmp_path / 'latin'}: byte 2 is not UTF-8\n")
    assert birdbath("passwd", "--delete", str(passwords), "ann").returncode == 0
    assert birdbath("passwd", "--delete", str(passwords), "ann").returncode == 1
    made = birdbath("token", "--key", str(key), "--new-key", "--identity", "ann@here", "--authz", "READ")
    assert IdTokens("here", key).prove(made.stdout.strip()).levels == frozenset({Level.READ})
    again = birdbath("token", "--key", str(key), "--new-key")
    assert "is there already" in again.stderr
    assert birdbath("token", "--key", str(key), "--identity", "ann").returncode == 1
