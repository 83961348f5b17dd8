"""Following the event log: filters, cursors, subscriptions and the tasks that push events out.

The contract, for whoever builds a follower:

**The event** is an `EventRecord` of `birdbath.events`, within an `Entry` that all followers of the process
share: `entry.event`, its routing key `entry.key`, and `entry.rendered(form)`, which renders it once for
everybody.

**Reading.** `Notifier.log` is the `EventLog`. `Follower(log, position, filter, sees)` reads it in order from
a sequence number on. `await follower.next(most, wait)` gives a `Batch`: the entries that pass, `through`, up
to which everything is dealt with when these are, and `missed`, how many events retention had deleted before.
It is woken by the commit that writes the events, without polling; `wait` bounds how long it sleeps, for
heartbeats. A `Filter` is made by `Filter.of(topics, constraint)` or `Filter.from_json(text)`, which refuse
nonsense with a BirdbathError. `sees(owner)` is the one rule about whose events are shown: `Visibility.sees`
with a caller bound.

**Durable cursors.** `Notifier.subscriptions` holds the `Subscription`s. `await subscriptions.create(...)` for
one that a client asked for, `await subscriptions.ensure(key, kind, filter)` for one that the settings ask
for. `follower = subscriptions.open(key, sees)` begins after the cursor; `await
follower.acknowledge(batch.through)` makes the new cursor durable. What was not acknowledged comes again, in
the same order, with the same ids: at least once. `await subscriptions.update_filter(key, filter)` is feedback
mode.

**Tasks.** A kind of subscription that is pushed is a coroutine function in `Notifier.kinds`: it is started
for each subscription of the kind, restarted with a growing pause when it raises, cancelled when the
subscription ends or the server stops. A follower that makes its own subscription is one in
`Notifier.services`. Both are set before `Notifier.running()`, which the server enters when it starts. A task
does this:

    follower = notifier.subscriptions.open(key)
    try:
        while True:
            batch = await follower.next(wait=30)
            await send(batch.entries)                    # all of them, or raise
            await follower.acknowledge(batch.through)    # also when nothing passed
            notifier.metrics.delivered["amqp"] += len(batch.entries)
    finally:
        follower.close()

`Notifier.metrics` are plain numbers for the metrics endpoint.
"""

from birdbath.notify.entries import Entry
from birdbath.notify.filters import Filter, InvalidFilter
from birdbath.notify.followers import Batch, Follower
from birdbath.notify.log import EventLog
from birdbath.notify.metrics import EventMetrics
from birdbath.notify.notifier import Notifier
from birdbath.notify.retention import RetentionSettings
from birdbath.notify.subscriptions import (
    SubscribedFollower,
    Subscriptions,
    Superseded,
    UnknownSubscription,
)
from birdbath.notify.tasks import Tasks
from birdbath.notify.topics import InvalidTopic, Topic
from birdbath.notify.visibility import Visibility
from birdbath.store.subscriptions import Subscription

__all__ = [
    "Batch",
    "Entry",
    "EventLog",
    "EventMetrics",
    "Filter",
    "Follower",
    "InvalidFilter",
    "InvalidTopic",
    "Notifier",
    "RetentionSettings",
    "SubscribedFollower",
    "Subscription",
    "Subscriptions",
    "Superseded",
    "Tasks",
    "Topic",
    "UnknownSubscription",
    "Visibility",
]
