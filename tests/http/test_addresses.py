"""Which address the WSDL names, and whom a request comes from."""

from __future__ import annotations

import pytest

from birdbath.http.addresses import base_url, caller_address, is_trusted, networks
from birdbath.http.asgi import Scope
from tests.http.driver import scope

TRUSTED = networks(["192.0.2.0/24", "2001:db8::/32"])


def request(client: str | None = "192.0.2.7", **headers: str) -> Scope:
    made = scope("GET", "/condorSchedd.wsdl", **headers)
    made["client"] = (client, 4711) if client is not None else None
    return made


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org:8080",
        "a-b.c_d.example",
        "127.0.0.1:9618",
        "[::1]:8080",
        "[2001:db8::1]",
        "LOCALHOST",
        "x",
    ],
)
def test_the_request_s_own_host(host: str) -> None:
    assert base_url(request(host=host), None, ()) == f"http://{host}"


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "a b", "a/b", "user@host", "host:", "host:port", "host:123456", "a\tb", 'a"b', "<a>"),
        *("a?b", "a#b", "[::1", "[x]", "-a", "a-", ".", "é", "x" * 300),
    ],
)
def test_a_host_that_is_none_gives_the_server_s_address(host: str) -> None:
    assert base_url(request(host=host), None, ()) == "http://192.0.2.1:8080"


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (("192.0.2.1", 80), "http://192.0.2.1"),
        (("::1", 8080), "http://[::1]:8080"),
        (("/run/birdbath.sock", None), "http://localhost"),
        (None, "http://localhost"),
    ],
)
def test_no_host_at_all(server: tuple[str, int | None] | None, url: str) -> None:
    made = request()
    made["server"] = server
    assert base_url(made, None, ()) == url


def test_a_public_url_wins_over_everything() -> None:
    made = request(host="h", x_forwarded_host="f")
    assert (
        base_url(made, "https://public.example.org/condor/", TRUSTED) == "https://public.example.org/condor"
    )


FORWARDED = {
    "host": "inside:8080",
    "x_forwarded_host": "outside.example.org",
    "x_forwarded_proto": "https",
    "x_forwarded_prefix": "/pool/one/",
}


def test_forwarded_headers_of_a_trusted_proxy() -> None:
    assert base_url(request(**FORWARDED), None, TRUSTED) == "https://outside.example.org/pool/one"


@pytest.mark.parametrize("client", ["198.51.100.1", "", None, "not-an-address", "/run/socket"])
def test_forwarded_headers_of_anybody_else(client: str | None) -> None:
    assert base_url(request(client, **FORWARDED), None, TRUSTED) == "http://inside:8080"


def test_forwarded_headers_when_nobody_is_trusted() -> None:
    assert base_url(request(**FORWARDED), None, ()) == "http://inside:8080"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x_forwarded_host", "a b"),
        ("x_forwarded_host", ""),
        ("x_forwarded_proto", "javascript"),
        ("x_forwarded_prefix", "//evil.example.org"),
        ("x_forwarded_prefix", "pool"),
        ("x_forwarded_prefix", "/a b"),
        ("x_forwarded_prefix", '/"'),
    ],
)
def test_a_forwarded_value_that_is_none_is_not_used(header: str, value: str) -> None:
    assert base_url(request(host="inside", **{header: value}), None, TRUSTED) == "http://inside"


def test_of_several_forwarded_values_the_first_counts() -> None:
    made = request(host="inside", x_forwarded_proto="HTTPS, http", x_forwarded_host="one, two")
    assert base_url(made, None, TRUSTED) == "https://one"


def test_mapped_addresses_are_the_ones_they_map() -> None:
    assert is_trusted("::ffff:192.0.2.9", TRUSTED)
    assert not is_trusted("::ffff:198.51.100.9", TRUSTED)
    assert is_trusted("2001:db8::5", TRUSTED)


@pytest.mark.parametrize(
    ("client", "forwarded", "caller"),
    [
        ("198.51.100.1", "203.0.113.5", "198.51.100.1"),
        ("192.0.2.7", "203.0.113.5", "203.0.113.5"),
        ("192.0.2.7", "10.0.0.1, 203.0.113.5, 192.0.2.8", "203.0.113.5"),
        ("192.0.2.7", "192.0.2.9,192.0.2.8", "192.0.2.9"),
        ("192.0.2.7", "203.0.113.5, forged", "192.0.2.7"),
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", None, "192.0.2.7"),
        (None, "203.0.113.5", ""),
    ],
)
def test_the_caller_is_the_last_address_that_is_no_trusted_proxy(
    client: str | None, forwarded: str | None, caller: str
) -> None:
    headers = {} if forwarded is None else {"x_forwarded_for": forwarded}
    assert caller_address(request(client, **headers), TRUSTED) == caller


def test_without_trusted_proxies_the_caller_is_the_peer() -> None:
    assert caller_address(request(x_forwarded_for="203.0.113.5"), ()) == "192.0.2.7"


def test_networks() -> None:
    assert [str(network) for network in networks(["10.1.2.3/8", "::1"])] == ["10.0.0.0/8", "::1/128"]
    with pytest.raises(ValueError, match=r"example\.org"):
        networks(["example.org"])
