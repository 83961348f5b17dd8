"""Who has which level, by account and network."""

from __future__ import annotations

import pytest

from birdbath.access import AccessRules, InvalidRule, Level

READ, WRITE, ADVERTISE, ADMINISTRATOR = Level.READ, Level.WRITE, Level.ADVERTISE, Level.ADMINISTRATOR


def levels(
    account: str | None, address: str = "192.0.2.7", deny: dict[Level, list[str]] | None = None, **allow: str
) -> set[Level]:
    rules = AccessRules.of({Level(name): text.split() for name, text in allow.items()}, deny or {})
    return set(rules.caller(address, account).levels) - {Level.NONE}


@pytest.mark.parametrize(
    ("entry", "account", "address", "matches"),
    [
        ("*", None, "192.0.2.7", True),
        ("authenticated", None, "192.0.2.7", False),
        ("authenticated", "ann", "192.0.2.7", True),
        ("ann", "ann", "192.0.2.7", True),
        ("ann", "Ann", "192.0.2.7", False),
        ("ann", None, "192.0.2.7", False),
        ("*@here", "ann@here", "192.0.2.7", True),
        ("*@here", "ann@there", "192.0.2.7", False),
        ("192.0.2.0/24", None, "192.0.2.7", True),
        ("192.0.2.0/24", None, "192.0.3.7", False),
        ("192.0.*", None, "192.0.3.7", True),
        ("192.0.*", None, "192.1.3.7", False),
        ("ann/192.0.2.7", "ann", "192.0.2.7", True),
        ("ann/192.0.2.7", "ann", "192.0.2.8", False),
        ("ann/192.0.2.7", "bob", "192.0.2.7", False),
        ("ann/*", "ann", "192.0.2.8", True),
        ("authenticated/192.0.2.7", None, "192.0.2.7", False),
        ("2001:db8::/32", None, "2001:db8::1", True),
        ("192.0.2.7", None, "::ffff:192.0.2.7", True),
        ("192.0.2.7", None, "", False),
        ("*", None, "", True),
    ],
)
def test_entries(entry: str, account: str | None, address: str, matches: bool) -> None:
    assert levels(account, address, read=entry) == ({READ} if matches else set())


def test_levels_imply_lower_ones_but_not_advertise() -> None:
    assert levels("ann", administrator="ann") == {READ, WRITE, ADMINISTRATOR}
    assert levels("ann", write="ann") == {READ, WRITE}
    assert levels("ann", advertise="ann") == {ADVERTISE}


def test_denying_wins_and_reaches_up() -> None:
    assert levels("ann", deny={READ: ["ann"]}, administrator="ann", advertise="ann") == {ADVERTISE}
    assert levels("ann", deny={ADMINISTRATOR: ["*"]}, administrator="ann") == {READ, WRITE}


def test_a_credential_grants_no_more_than_it_says() -> None:
    rules = AccessRules.of({ADMINISTRATOR: ["ann"]}, {})
    assert rules.caller("192.0.2.7", "ann", frozenset({READ})).levels == {READ, Level.NONE}
    assert rules.caller("192.0.2.7", "bob", frozenset({READ})).levels == {Level.NONE}


@pytest.mark.parametrize("entry", ["ann/host.example.org", "ann/", "/10.0.0.0/8", "10.0.0.0/40"])
def test_what_is_no_entry_is_refused(entry: str) -> None:
    with pytest.raises(InvalidRule):
        AccessRules.of({READ: [entry]}, {})
