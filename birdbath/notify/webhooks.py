"""Webhooks: events pushed to a URL, signed as Standard Webhooks says, retried, in order per job."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import birdbath
from birdbath.events import EventRecord, Form, form
from birdbath.notify.entries import Entry
from birdbath.notify.followers import Batch
from birdbath.notify.notifier import Notifier
from birdbath.notify.pauses import Pauses
from birdbath.notify.pushing import Pushing
from birdbath.notify.receivers import AddressRule, InvalidWebhook, receiver
from birdbath.notify.subscriptions import WEBHOOK, Superseded
from birdbath.store.subscriptions import DeadLetter, Subscription

if TYPE_CHECKING:
    import httpx  # with all that it loads, a tenth of a server's start; most have no webhooks

_log = logging.getLogger(__name__)

PREFIX: Final = "whsec_"
_REPLY_BYTES = 64 * 1024
_REFUSALS = frozenset(range(400, 500)) - {408, 409, 425, 429}
_GONE = 410

__all__ = ["InvalidWebhook", "WebhookSettings", "Webhooks", "signature"]


@dataclass(frozen=True)
class WebhookSettings:
    """How webhooks are delivered; times in seconds.

    networks: addresses that are not public but may be delivered to. timeout: for one attempt. first_pause,
    longest_pause: between attempts, doubling from the one to the other. give_up: an event that was not taken
    for so long goes to the dead letter list. refusals: the same for one that was refused (status 400 to 499)
    so many times. lanes: how many requests to one receiver may run at a time; events of one job never do.
    """

    networks: tuple[str, ...] = ()
    timeout: float = 15.0
    first_pause: float = 0.25
    longest_pause: float = 60.0
    give_up: float = 86400.0
    refusals: int = 5
    lanes: int = 8


class _Gone(Exception):
    """The receiver wants no more events."""


@dataclass(frozen=True)
class _Failure:
    reason: str
    status: int = 0
    pause: float = 0.0


def signature(secret: str, key: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{key}.{timestamp}.".encode() + body
    digest = hmac.digest(_key_of(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _key_of(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise InvalidWebhook(f"A webhook's secret is {PREFIX} and the base64 of 24 to 64 bytes")
    return key


class Webhooks:
    """Pushes the events of every subscription of the kind `webhook`.

    Each event is one POST of its form with the headers `webhook-id` (the event's id, the same at every
    attempt), `webhook-timestamp` and `webhook-signature`. A status from 200 to 299 takes it. Anything else is
    tried again; meanwhile later events of the same job wait.
    """

    def __init__(self, notifier: Notifier, settings: WebhookSettings) -> None:
        self._notifier = notifier
        self._settings = settings
        self._rule = AddressRule(settings.networks)
        self._tls = ssl.create_default_context()
        notifier.kinds[WEBHOOK] = self.deliver

    async def options(self, url: str, secret: str | None, form_name: str) -> dict[str, Any]:
        """The options of a new subscription; a secret is made when none is given.

        Raises InvalidWebhook, ForbiddenAddress, UnknownForm. A host that cannot be looked up now may be
        later.
        """
        secret = secret or PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        _key_of(secret)
        form(form_name)
        try:
            await receiver(url, self._rule)
        except OSError:
            _log.info("The host of a new webhook is not known (yet)")
        return {"url": url, "secret": secret, "form": form_name}

    async def deliver(self, subscription: Subscription) -> None:
        """Push the events of one subscription until cancelled."""
        follower = self._notifier.subscriptions.open(subscription.id, self._sees(subscription))
        try:
            async with self._client() as client:
                post = self._post(client, subscription)
                room = asyncio.Semaphore(self._settings.lanes)
                pushing = Pushing(
                    follower,
                    lambda entry: self._push_one(post, follower.key, room, entry),
                    lambda batch: self._note_missed(follower.key, batch),
                )
                await pushing.run()
        except _Gone:
            _log.warning("The receiver of webhook %s wants no more events (410 Gone)", subscription.id)
            await self._notifier.subscriptions.remove(subscription.id)
        except Superseded:
            return
        finally:
            follower.close()

    async def redeliver(self, subscription: Subscription, letter: DeadLetter) -> None:
        """Try a dead letter once more; it leaves the list when it is taken. Raises InvalidWebhook with why
        not.
        """
        if subscription.kind != WEBHOOK:
            raise InvalidWebhook("Only the dead letters of webhooks can be sent again")
        async with self._client() as client:
            post = self._post(client, subscription)
            failure = await post.attempt(letter.event, post.form(letter.event))
        if failure is not None:
            raise InvalidWebhook(f"The receiver did not take it: {failure.reason}")
        self._notifier.metrics.delivered[WEBHOOK] += 1
        await self._notifier.subscriptions.remove_letter(subscription.id, letter.event.sequence)

    def _post(self, client: httpx.AsyncClient, subscription: Subscription) -> _Post:
        source, timeout = self._notifier.source, self._settings.timeout
        return _Post(client, subscription.options, self._rule, source, timeout)

    def _client(self) -> httpx.AsyncClient:
        import httpx

        # One for each subscription: connections are kept by address, and two hosts may share one.
        return httpx.AsyncClient(
            verify=self._tls,
            trust_env=False,
            timeout=self._settings.timeout,
            limits=httpx.Limits(max_connections=self._settings.lanes),
        )

    def _sees(self, subscription: Subscription) -> Any:
        visibility = self._notifier.visibility
        return lambda owner: visibility.covers(subscription.account, owner)

    def _note_missed(self, key: str, batch: Batch) -> None:
        self._notifier.metrics.missed[WEBHOOK] += batch.missed
        if batch.missed:
            _log.warning("Webhook %s misses %d events: retention deleted them", key, batch.missed)

    async def _push_one(self, post: _Post, key: str, room: asyncio.Semaphore, entry: Entry) -> None:
        settings, metrics = self._settings, self._notifier.metrics
        started, attempts, refused = time.monotonic(), 0, 0
        pauses = Pauses(settings.first_pause, settings.longest_pause)
        while True:
            attempts += 1
            async with room:
                failure = await post.attempt(entry.event, entry.rendered(post.form))
            post.note(key, entry.event, failure)
            if failure is None:
                metrics.delivered[WEBHOOK] += 1
                return
            if failure.status == _GONE:
                raise _Gone
            refused += failure.status in _REFUSALS
            if refused >= settings.refusals or time.monotonic() - started >= settings.give_up:
                await self._give_up(key, entry.event, attempts, failure.reason)
                return
            metrics.retried[WEBHOOK] += 1
            await asyncio.sleep(max(pauses.next(), min(failure.pause, settings.longest_pause)))

    async def _give_up(self, key: str, event: EventRecord, attempts: int, reason: str) -> None:
        _log.warning(
            "Webhook %s gives up event %d after %d attempts: %s", key, event.sequence, attempts, reason
        )
        letter = DeadLetter(key, event, attempts, time.time(), reason)
        await self._notifier.subscriptions.give_up(letter)


class _Post:
    """One subscription's requests."""

    def __init__(
        self, client: httpx.AsyncClient, options: Any, rule: AddressRule, source: str, timeout: float
    ) -> None:
        self.form: Form = form(options["form"], source)
        self._client = client
        self._url: str = options["url"]
        self._secret: str = options["secret"]
        self._rule = rule
        self._timeout = timeout
        self._failing = False

    def note(self, key: str, event: EventRecord, failure: _Failure | None) -> None:
        """Say in the log when the receiver begins to fail, and when it takes events again; not each time."""
        if self._failing == (failure is not None):
            return
        self._failing = failure is not None
        what = "takes events again" if failure is None else f"fails, to be tried again: {failure.reason}"
        _log.info("The receiver of webhook %s %s (event %d)", key, what, event.sequence)

    async def attempt(self, event: EventRecord, body: bytes) -> _Failure | None:
        """Send an event once; None when it was taken."""
        import httpx

        try:
            async with asyncio.timeout(self._timeout):  # the client's own is for each byte
                target = await receiver(self._url, self._rule)
                return await self._send(target.url, target.host, target.name, event, body)
        except InvalidWebhook as error:
            return _Failure(str(error))
        except (TimeoutError, httpx.TimeoutException):
            return _Failure("no answer in time")
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            return _Failure(f"{type(error).__name__}: {error}"[:500])

    async def _send(self, url: str, host: str, name: str, event: EventRecord, body: bytes) -> _Failure | None:
        timestamp = int(time.time())
        headers = {
            "host": host,
            "content-type": self.form.media_type,
            "user-agent": f"Birdbath/{birdbath.__version__}",
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, event.id, timestamp, body),
        }
        request = self._client.build_request(
            "POST", url, content=body, headers=headers, extensions={"sni_hostname": name}
        )
        response = await self._client.send(request, stream=True)
        try:
            await _drain(response)
        finally:
            await response.aclose()
        if response.is_success:
            return None
        return _Failure(f"status {response.status_code}", response.status_code, _retry_after(response))


async def _drain(response: httpx.Response) -> None:
    """Read a short reply, so that the connection can be used again; nobody wants a long one."""
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > _REPLY_BYTES:
            return


def _retry_after(response: httpx.Response) -> float:
    """Seconds, which it may say as the date when they are over; 0 where it says nothing, or nonsense."""
    text = response.headers.get("retry-after", "")
    if text.isdecimal():
        return float(text[:9])
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
