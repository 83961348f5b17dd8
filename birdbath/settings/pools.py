"""Settings of the pool behind the door, and of further ones beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from birdbath.settings.values import Names
from birdbath.tables import RoutingRule, checked_name, checked_pools


class PoolSettings(BaseSettings):
    """What stands behind the door: a simulated pool or a real one, how jobs run, how strict it is."""

    schedd_name: str = Field("schedd@birdbath.example.org", description="SCHEDD_NAME")
    uid_domain: str = Field("birdbath.example.org", description="UID_DOMAIN, the part of User after the @")
    pool: str = Field(
        "laptop",
        description="the simulated pool: laptop, campus, grid, or a TOML file that describes one;"
        " or `htcondor`, a real one",
    )
    htcondor_config: Path | None = Field(
        None, description="CONDOR_CONFIG of the real pool; default: the variable of that name, or none"
    )
    htcondor_collector: str | None = Field(
        None, description="COLLECTOR_HOST of the real pool, `host:port`; default: as its configuration says"
    )
    htcondor_schedd: str | None = Field(
        None, description="name of the schedd; default: the only one, or the first, that the collector knows"
    )
    htcondor_methods: Names = Field(
        (), description="SEC_CLIENT_AUTHENTICATION_METHODS: FS, IDTOKENS, PASSWORD; default: as configured"
    )
    htcondor_tokens: Path | None = Field(
        None, description="SEC_TOKEN_DIRECTORY: folder with the gateway's IDTOKEN"
    )
    htcondor_password: Path | None = Field(
        None, description="SEC_PASSWORD_FILE: the pool's password, as condor_store_cred wrote it"
    )
    htcondor_user_tokens: Path | None = Field(
        None,
        description="folder with an IDTOKEN of each account, in a file of its name: its jobs are its own",
    )
    htcondor_signing_key: Path | None = Field(
        None, description="the pool's signing key, to make such tokens with; default: jobs name their owner"
    )
    htcondor_event_log: Path | None = Field(
        None,
        description="EVENT_LOG of the schedd, as a file here: its events become the server's",
    )
    htcondor_dagman_config: str | None = Field(
        None,
        pattern=r"^[^\s\"']+$",
        description="CONDOR_CONFIG on the schedd's machine, for DAGMan; default: where HTCondor looks for it",
    )
    htcondor_timeout: float = Field(
        20.0, gt=0, description="seconds in which the pool has to answer, more for files"
    )
    pool_name: str = Field("default", description="what the server's own pool is called beside others")
    pools: dict[str, dict[str, Any]] | None = Field(
        None, description="further pools, a table `[pools.NAME]` of settings each; see federation.md"
    )
    federation_rules: tuple[RoutingRule, ...] = Field(
        (), description="tables `[[federation_rules]]`: which pools jobs may go to; see federation.md"
    )
    federation_timeout: float = Field(
        5.0, gt=0, description="seconds that the federation waits for a pool before it answers without it"
    )
    negotiator_interval: float | None = Field(
        None,
        gt=0,
        description="NEGOTIATOR_INTERVAL, seconds between cycles; default: as the pool's description says",
    )
    program_duration: float | None = Field(
        None, ge=0, description="seconds that a simulated program runs unless something else says how long"
    )
    history_max_age: float = Field(
        2592000.0,
        ge=0,
        description="seconds that jobs which have left the queue are kept in the history; 0: for good",
    )
    history_max_jobs: int = Field(
        1000000, ge=0, description="jobs that are kept in the history; 0: any number"
    )
    speed: float | Literal["max"] | None = Field(
        None, description="pool seconds per second, or max: jump from event to event; default: as before"
    )
    start_time: float | None = Field(
        None, description="pool time at which a new pool begins, in seconds since the epoch; default: now"
    )

    execute: bool = Field(
        False, description="run jobs as processes of this machine, shut into their sandboxes, not simulated"
    )
    execute_account: str = Field(
        "nobody", description="the account that jobs run under when the server is root's"
    )
    execute_cpu_time: int = Field(0, ge=0, description="CPU seconds that such a job may use; 0: no limit")
    execute_file_size: int = Field(
        10 << 30, ge=0, description="largest file in bytes that such a job may write; 0: no limit"
    )

    strict: bool = Field(
        False,
        description="verify declared sizes and hashes, use all status codes, fault bad constraints",
    )
    durable_at: Literal["call", "commit"] = Field(
        "call",
        description="when what a transaction stages is synced to disk: at each call, or at its commit, "
        "which is faster, and a loss of power ends the transactions that are open",
    )
    soap_leave_in_queue: str | None = Field(
        None, description="SOAP_LEAVE_IN_QUEUE: a further condition of the template's LeaveJobInQueue"
    )
    abandoned_spool_age: float = Field(
        3600.0, ge=0, description="seconds after which a spool directory that belongs to no job is deleted"
    )

    classad_lifetime: int = Field(
        900, ge=1, description="CLASSAD_LIFETIME: seconds that an inserted ad lives"
    )
    collector_requirements: str | None = Field(None, description="COLLECTOR_REQUIREMENTS")
    absent_requirements: str | None = Field(None, description="ABSENT_REQUIREMENTS")

    _check_pool_name = field_validator("pool_name")(checked_name)
    _check_pools = field_validator("pools")(checked_pools)

    @field_validator("speed")
    @classmethod
    def _check_speed(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not value > 0:
            raise ValueError("it must be above 0, or max")
        return value
