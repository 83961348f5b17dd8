"""The tables: everything that a restart must not lose, apart from the files under the spool folder.

Times are seconds since the epoch. Ads are JSON text as `classads.Ad` stores them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text, text

metadata = MetaData()

counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Numbers that are never given out twice: "cluster" ids, "version" of ads, "event" sequence; and "log", by
which the event log of this database is told from any other.
"""

transactions = Table(
    "transactions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("account", String(255)),
    Column("duration", Integer, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("active_cluster", Integer, nullable=False),
    Column("staged_bytes", BigInteger, nullable=False, server_default="0"),
    Column("committing", String(64)),
)
"""Open transactions with their leases; ended ones have no row. `active_cluster` is 0 before the first
newCluster. One that is `committing` belongs to that commit alone: it neither expires nor takes calls."""

kept_replies = Table(
    "kept_replies",
    metadata,
    Column("account", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("body", Text, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)
"""Replies by the Idempotency-Key of their request, and whose it is; `digest` is of the request."""

staged_clusters = Table(
    "staged_clusters",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("transaction_id", Integer, nullable=False, index=True),
    Column("next_proc", Integer, nullable=False),
)

staged_jobs = Table(
    "staged_jobs",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("transaction_id", Integer, nullable=False, index=True),
    Column("removed", Boolean, nullable=False),
    Column("ad", Text, nullable=False),
)
"""Jobs of open transactions; a `removed` one is committed as Removed and takes no more files or attributes.
"""

staged_files = Table(
    "staged_files",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("hash_type", Integer, nullable=False),
    Column("hash", Text),
    Column("ranges", Text, nullable=False),
)
"""Declared files in order of declaration; `ranges` is JSON text of the received byte ranges, sorted and
disjoint.
"""

staged_actions = Table(
    "staged_actions",
    metadata,
    Column("transaction_id", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("action", String(16), nullable=False),
    Column("cluster_id", Integer, nullable=False),
    Column("proc_id", Integer, nullable=False),
    Column("arguments", Text, nullable=False),
)
"""Holds, releases, removals and closed spools of committed jobs that take effect when the transaction
commits.
"""

jobs = Table(
    "jobs",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False, unique=True),
    Column("in_queue", Boolean, nullable=False),
    Column("status", Integer, nullable=False),
    Column("owner", String(255), nullable=False),
    Column("ad", Text, nullable=False),
    Index("jobs_queued", "version", sqlite_where=text("in_queue = 1"), postgresql_where=text("in_queue")),
    Index("jobs_left", "version", sqlite_where=text("in_queue = 0"), postgresql_where=text("NOT in_queue")),
)
"""Committed jobs. A row that left the queue stays as the history record, with a version of its own for
readers.
"""

simulated_jobs = Table(
    "simulated_jobs",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("signature", String(600)),
    Column("precedence", BigInteger, nullable=False),
    Column("slot", String(255), unique=True),
    Column("phase", String(16)),
    Column("due_at", Float),
    Column("ends_at", Float),
    Column("progress", BigInteger, nullable=False),
    Column("next_policy_at", Float),
    Column("submitter", String(255), nullable=False, server_default=""),
    Column("cpus", Integer, nullable=False, server_default="0"),
    Column("memory", Integer, nullable=False, server_default="0"),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("disk", BigInteger, nullable=False, server_default="0"),
    Column("claimed_at", Float),
    Column("claim_rank", Float, nullable=False, server_default="0"),
    Column("limits", String(255), nullable=False, server_default=""),
    Index("simulated_jobs_idle", "signature", "precedence", "cluster_id", "proc_id"),
    Index("simulated_jobs_due", "due_at"),
    Index("simulated_jobs_policy", "next_policy_at"),
)
"""What the simulated pool keeps of each job in its queue, besides the ad.

An idle job has the `signature` of its lane, which it shares with all jobs of its submitter that match the
same slots, and its place among them (`precedence`, minus JobPrio). A running one has a `slot` (none on the
submit machine), what it holds of it (`cpus`, `memory` in MiB, `disk` in KiB, `gpus`) since when
(`claimed_at`), a
`phase`, the pool time at which that phase is over (`due_at`), the time at which the program ends (`ends_at`)
and how many bytes of output it has written (`progress`). `next_policy_at` is set when a periodic expression
has to be looked at.
"""

simulated_waiting = Table(
    "simulated_waiting",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("ad", Text, nullable=False),
)
"""Committed jobs of clusters that are materialized late, as long as they are not in the queue."""

simulated_pool = Table(
    "simulated_pool",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("time", Float, nullable=False),
    Column("cycle_at", Float),
    Column("clock", Text),
    Column("born", Float, nullable=False, server_default="0"),
    Column("last_cycle", Float, nullable=False, server_default="0"),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("rule", String(32), nullable=False, server_default=""),
)
"""One row, 1: the pool time up to which everything has happened, when the pool was born, when it negotiated
last and will next, how the clock stands (JSON), the revision of its claims, and the rule by which lanes are
computed.
"""

simulated_submitters = Table(
    "simulated_submitters",
    metadata,
    Column("name", String(255), primary_key=True),
    *(
        Column(name, Float, nullable=False)
        for name in ("priority", "factor", "accumulated", "began_at", "used_at", "updated_at", "in_use")
    ),
)
"""The negotiator's accounts of submitters, each as of `updated_at` (pool time)."""

simulated_programs = Table(
    "simulated_programs",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("wake_at", Float),
)
"""What the programs that run inside the pool (see `pool.simulated.hosted`) remember, and when they want to be
woken."""

simulated_notices = Table(
    "simulated_notices",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("cluster_id", Integer, nullable=False),
    Index("simulated_notices_of", "cluster_id", "sequence"),
)
"""Events of which the hosted program of cluster `cluster_id` is still to be told."""

simulated_removals = Table(
    "simulated_removals",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("owner", String(255), nullable=False),
    Column("requirements", Text, nullable=False),
    Column("due_at", Float),
    Column("last_cluster", Integer, nullable=False),
    Column("seen_cluster", Integer, nullable=False),
    Column("seen_proc", Integer, nullable=False),
    Index("simulated_removals_due", "due_at"),
    Index("simulated_removals_of", "owner", "cluster_id", "proc_id"),
)
"""Jobs that have ended and whose OtherJobRemoveRequirements (`requirements`) are still to be looked at, in
jobs after `seen_cluster`.`seen_proc` and up to `last_cluster`; without `due_at`: after others of the owner.
"""

htcondor_pools = Table(
    "htcondor_pools",
    metadata,
    Column("pool", String(64), primary_key=True),
    Column("gateway", String(64), nullable=False),
    Column("event_place", Text),
)
"""The real pools that this database is a gateway of, the name by which it marks its jobs in each, and up to
where the pool's event log was taken over (JSON).
"""

htcondor_clusters = Table(
    "htcondor_clusters",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("pool", String(64), primary_key=True),
    Column("procs", Integer, nullable=False),
    Column("owner", String(255), nullable=False),
    Column("schedd_cluster", Integer, nullable=False, index=True),
    Column("left_at", Float, index=True),
    Column("first_proc", Integer, nullable=False, server_default="0"),
)
"""Clusters that were committed to a real pool, by the ids that clients know, with those of the schedd.

Several may share a cluster of the schedd: `first_proc` is what proc 0 of this one is there. `left_at` is when
none of its jobs was found in the queue any more: events of theirs may still come, and the history names them.
A row goes `history_max_age` later.
"""

htcondor_commits = Table(
    "htcondor_commits",
    metadata,
    Column("marker", String(64), primary_key=True),
    Column("pool", String(64), nullable=False),
    Column("transaction_id", Integer),
    Column("state", String(16), nullable=False),
)
"""Commits that are not over: `preparing` (no job may run, all are to be taken back after a crash), `decided`
(every job is in the schedd and may run), `undoing`.
"""

htcondor_actions = Table(
    "htcondor_actions",
    metadata,
    Column("marker", String(64), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("action", String(16), nullable=False),
    Column("cluster_id", Integer, nullable=False),
    Column("proc_id", Integer, nullable=False),
    Column("arguments", Text, nullable=False),
)
"""What a decided commit has still to do to jobs, in order."""

simulated_user_logs = Table(
    "simulated_user_logs",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("proc_id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), primary_key=True),
    Column("size", BigInteger, nullable=False),
)
"""How long each user log is, by the job whose sandbox it is in: what lies beyond was written by a unit that
was undone."""

daemon_ads = Table(
    "daemon_ads",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("key", String(1024), primary_key=True),
    Column("version", BigInteger, nullable=False, unique=True),
    Column("expires_at", Float, nullable=False),
    Column("ad", Text, nullable=False),
)
"""Ads inserted by clients, by table and identity key (reference section 4.1)."""

events = Table(
    "events",
    metadata,
    # To SQLite an INTEGER key is the row's own number: one index less.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("time", Float, nullable=False),
    Column("type", Integer, nullable=False),
    Column("cluster_id", Integer, nullable=False),
    Column("proc_id", Integer, nullable=False),
    Column("owner", String(255), nullable=False),
    Column("ad", Text, nullable=False),
    Index("events_by_job", "cluster_id", "proc_id"),
)
"""The event log: gapless sequence, each row written together with the change it reports."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("account", String(255)),
    Column("cursor", BigInteger, nullable=False),
    Column("filter", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("options", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
)
"""Followers of the event log. Events up to `cursor` are done with; `generation` counts changes of the filter.

`options` is JSON text of what the kind needs, such as a webhook's URL. One without `expires_at` stays.
"""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("subscription_id", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("event", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failed_at", Float, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Events that a subscription gave up to deliver; `event` is JSON text of the whole record, which outlives the
log's.
"""

federation_pools = Table(
    "federation_pools",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False, unique=True),
)
"""The number that each pool has in the federation's ids, for good."""

federation_clusters = Table(
    "federation_clusters",
    metadata,
    Column("cluster_id", Integer, primary_key=True, autoincrement=False),
    Column("pool", String(64), nullable=False),
    Column("pool_cluster_id", Integer, nullable=False),
    Column("mark", String(64), nullable=False),
)
"""What each cluster that came through the federation is called in its pool; `mark` is its commit's."""

federation_commits = Table(
    "federation_commits",
    metadata,
    Column("transaction_id", Integer, primary_key=True, autoincrement=False),
    Column("pool", String(64), nullable=False),
    Column("pool_transaction_id", Integer, nullable=False),
    Column("account", String(255)),
    Column("mark", String(64), nullable=False, unique=True),
    Column("key", String(255)),
)
"""Commits of the federation that a pool was to be told of, until it is known what came of them; `key` is the
Idempotency-Key under which their reply is kept.
"""
