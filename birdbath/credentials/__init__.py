"""Proofs of an account: password files, HTCondor's IDTOKENS, tokens by issuer, map files. No HTTP in here."""

from birdbath.credentials.errors import UnusableCredentials, WrongCredential

__all__ = ["UnusableCredentials", "WrongCredential"]
