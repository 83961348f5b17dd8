"""The tables `[pools.NAME]` of the settings: which pools there are, the settings of each, and how a real one
is reached.
"""

from __future__ import annotations

from typing import Any, Final

from birdbath.pool.htcondor.connection import Connection
from birdbath.settings import InvalidSettings, Settings, settings_from
from birdbath.tables import is_of_a_pool

HTCONDOR: Final = "htcondor"
"""The value of the setting `pool` that means a real one."""

_INHERITED: Final = frozenset(
    {
        "uid_domain",
        "private_jobs",
        "soap_leave_in_queue",
        "max_jobs_submitted",
        "max_jobs_per_owner",
        "max_jobs_per_submission",
        "classad_lifetime",
        "collector_requirements",
        "absent_requirements",
    }
)


def pools_of(settings: Settings) -> dict[str, Settings]:
    """The settings of every pool by name, the server's own first; one entry when there is no table.

    A pool's table says what is its own; whom it asks who he is, the bounds and the addresses are the
    server's. Unless its table says otherwise its home is `pools/NAME` in the server's, its schedd is called
    `NAME@` and its limits are the server's; everything else that is a pool's is as if it were not set. The
    memory for ads is shared out evenly. Raises InvalidSettings.
    """
    if not settings.pools:
        if settings.federation_rules:
            raise InvalidSettings("federation_rules: there is one pool only")
        return {settings.pool_name: settings}
    memory = max(1 << 20, settings.ad_memory_bytes // (len(settings.pools) + 1))
    own = settings.model_copy(update={"ad_memory": memory})
    further = {name: _settings_of(own, name, table) for name, table in settings.pools.items()}
    if settings.pool_name in further:
        raise InvalidSettings(f"pools: the server's own pool is called {settings.pool_name} already")
    known = {settings.pool_name, *further}
    if unknown := {name for rule in settings.federation_rules for name in rule.pools} - known:
        raise InvalidSettings(f"federation_rules: no such pool: {', '.join(sorted(unknown))}")
    homes = [pool.folder for pool in (own, *further.values())]
    if len(set(homes)) < len(homes):
        raise InvalidSettings("pools: each pool needs a home of its own")
    databases = [pool.database for pool in (own, *further.values())]
    if len(set(databases)) < len(databases):
        raise InvalidSettings("pools: each pool needs a database of its own")
    return {settings.pool_name: own, **further}


def _settings_of(settings: Settings, name: str, table: dict[str, Any]) -> Settings:
    domain = settings.schedd_name.rpartition("@")[2]
    defaults = {
        field: about.get_default()
        for field, about in Settings.model_fields.items()
        if is_of_a_pool(field) and field not in _INHERITED
    }
    defaults |= {
        "home": settings.folder / "pools" / name,
        "schedd_name": f"{name}@{domain}",
        # Requests on the broker's one queue name no pool.
        "amqp_requests": False,
        "pools": None,
        "federation_rules": (),
        "pool_name": name,
    }
    try:
        return settings_from({**settings.model_dump(), **defaults, **table})
    except InvalidSettings as error:
        raise InvalidSettings(f"pools.{name}: {error}") from None


def connection_of(settings: Settings) -> Connection:
    """How the real pool of the settings is reached."""
    configuration = settings.htcondor_config
    given = {
        "SEC_CLIENT_AUTHENTICATION_METHODS": ", ".join(settings.htcondor_methods),
        "SEC_TOKEN_DIRECTORY": settings.htcondor_tokens,
        "SEC_PASSWORD_FILE": settings.htcondor_password,
    }
    return Connection(
        None if configuration is None else str(configuration.expanduser().absolute()),
        settings.htcondor_collector,
        settings.htcondor_schedd,
        {name: str(value) for name, value in given.items() if value},
    )
