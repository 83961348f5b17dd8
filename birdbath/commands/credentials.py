"""`birdbath passwd` and `birdbath token`: local passwords and tokens."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from birdbath.commands.shared import guarded
from birdbath.errors import BirdbathError

MINIMUM = 8
_AUTHORIZATIONS = "READ, WRITE, ADMINISTRATOR, DAEMON, ADVERTISE_STARTD, ..."


class BadPassword(BirdbathError):
    """The password that was typed cannot be taken."""


@guarded
def passwd(
    file: Annotated[Path, typer.Argument(help="The password file; made if missing.")],
    account: Annotated[str, typer.Argument(help="The account.")],
    delete: Annotated[bool, typer.Option("--delete", help="Delete the account instead.")] = False,
    clear: Annotated[
        bool,
        typer.Option(
            "--clear", help="Keep the password itself: only so can a WS-Security digest be checked."
        ),
    ] = False,
) -> None:
    """Set an account's password in a password file. It is asked for, or read from standard input."""
    from birdbath.credentials.passwords import change, hash_password, valid_account

    if not valid_account(account):
        raise BirdbathError(f"{account!r} cannot be an account: letters, digits and . _ @ + - only")
    if delete:
        if not change(file, account, None):
            raise BirdbathError(f"{file} has no account {account}")
        typer.echo(f"Deleted {account} from {file}")
        return
    password = _asked(account)
    if clear and (password != password.strip() or len(password.splitlines()) != 1):
        raise BadPassword("A password that is kept itself begins and ends with no blank, and is one line")
    known = change(file, account, hash_password(password, clear))
    typer.echo(f"{'Changed' if known else 'Added'} {account} in {file}")


def _asked(account: str) -> str:
    if sys.stdin.isatty():
        password = str(typer.prompt(f"Password for {account}", hide_input=True, confirmation_prompt=True))
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < MINIMUM:
        raise BadPassword(f"The password has fewer than {MINIMUM} characters")
    return password


@guarded
def token(
    key: Annotated[
        Path, typer.Option(help="The pool's signing key file, such as passwords.d/POOL; made with --new-key.")
    ],
    identity: Annotated[str, typer.Option(help="Whose token it is, such as alice@example.org.")] = "",
    trust_domain: Annotated[
        str, typer.Option(help="TRUST_DOMAIN, the issuer; default: what follows the @ of the identity.")
    ] = "",
    lifetime: Annotated[
        int | None, typer.Option(min=1, help="Seconds that it is valid; default: for ever.")
    ] = None,
    authz: Annotated[
        list[str] | None, typer.Option(help=f"A level that it is limited to ({_AUTHORIZATIONS}); repeatable.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Make the signing key file first.")] = False,
) -> None:
    """Print an IDTOKEN, as condor_token_create does; use it as bearer token, or as BIRDBATH_TOKEN."""
    from birdbath.credentials.passwords import make_secret
    from birdbath.credentials.tokens import IdTokens, new_signing_key

    if new_key and not make_secret(key, new_signing_key()):
        raise BirdbathError(f"{key} is there already; tokens that it signed would lose their validity")
    if not identity:
        if new_key:
            return
        raise BirdbathError("Say whose token it is: --identity alice@example.org")
    user, at, domain = identity.partition("@")
    issuer = trust_domain or domain
    if not user or (at and not domain) or not issuer:
        raise BirdbathError(f"{identity!r} is not user@domain; or say --trust-domain")
    typer.echo(IdTokens(issuer, key).create(identity, lifetime, authz or ()))
