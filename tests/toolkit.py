"""Toolkits from outside (a compiler, PHP, npm packages): tests skip by name without them, and fail in CI."""

import os

import pytest


def in_ci() -> bool:
    """Whether this is a CI run, by the environment variable CI that every CI system sets."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def require(program_or_reason: str, found: bool) -> None:
    """Go on when the toolkit was found; else skip the test, or fail it in CI, where nothing may be skipped.

    `program_or_reason` names what is missing, as a person who wants to install it would look for it.
    Call it from a test or a fixture; mark such tests with `@pytest.mark.toolkit`.
    """
    if found:
        return
    message = f"toolkit not found: {program_or_reason} (scripts/install-toolkits installs all of them)"
    if in_ci():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
