"""The routes below /events: the stream, long polling, and subscriptions as resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import orjson

from birdbath.access import ROUTES, Caller, Level
from birdbath.errors import BirdbathError, PermissionDenied
from birdbath.events import form
from birdbath.http.asgi import JSON, Headers, Receive, Scope, Send, header, is_reading, read_body, respond
from birdbath.http.bodies import BadRequest, is_json
from birdbath.http.event_requests import (
    LARGEST_BODY,
    Acknowledgement,
    NewSubscription,
    Question,
    SubscriptionChange,
    question,
)
from birdbath.http.event_stream import STREAM_HEADERS, Stopping, poll, poll_headers, stream
from birdbath.notify import Filter, Notifier, Subscription, Superseded, UnknownSubscription
from birdbath.notify.subscriptions import TooManySubscriptions
from birdbath.notify.webhooks import InvalidWebhook, Webhooks
from birdbath.store.subscriptions import DeadLetter

PATH: Final = "/events"
SUBSCRIPTIONS: Final = f"{PATH}/subscriptions"


class TooMany(BirdbathError):
    """No more followers are let in for now."""


_PROBLEM = "application/problem+json"
_BODY_SECONDS = 30.0
_STATUS: Final[dict[type[BirdbathError], HTTPStatus]] = {
    UnknownSubscription: HTTPStatus.NOT_FOUND,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    TooManySubscriptions: HTTPStatus.FORBIDDEN,
    Superseded: HTTPStatus.CONFLICT,
    TooMany: HTTPStatus.SERVICE_UNAVAILABLE,
    Stopping: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What errors are answered with; all others are mistakes of the request."""


class _NoRoute(BirdbathError):
    """There is nothing under this path."""


class _WrongMethod(BirdbathError):
    """There is something under this path, for the methods `allowed`."""

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        super().__init__(f"There is no {method} {path}")
        self.allowed = ", ".join(allowed)


def _no_route(method: str, path: str) -> BirdbathError:
    """What is wrong with a request that nothing is there for."""
    match path.rstrip("/").removeprefix(PATH).split("/")[1:]:
        case []:
            allowed = ["GET", "HEAD", "POST"]  # SOAP comes by POST
        case ["subscriptions"]:
            allowed = ["GET", "HEAD", "POST"]
        case ["subscriptions", _]:
            allowed = ["GET", "HEAD", "PATCH", "DELETE"]
        case ["subscriptions", _, "acknowledge"]:
            allowed = ["POST"]
        case ["subscriptions", _, "dead-letters"]:
            allowed = ["GET", "HEAD"]
        case ["subscriptions", _, "dead-letters", _]:
            allowed = ["POST", "DELETE"]
        case _:
            return _NoRoute(f"There is no {method} {path}")
    return _WrongMethod(method, path, [name for name in allowed if name != method])


class EventRoutes:
    """Answers requests about events; whose they are is for `Visibility` to say."""

    def __init__(
        self, notifier: Notifier, webhooks: Webhooks, max_followers: int = 1000, max_of_one: int = 0
    ) -> None:
        """At most `max_followers` at a time, and `max_of_one` of one address, 0 for any number."""
        self._max_followers = max_followers
        self._max_of_one = max_of_one
        self._following: Counter[str] = Counter()
        self._notifier = notifier
        self._webhooks = webhooks

    @staticmethod
    def handles(scope: Scope) -> bool:
        """Whether a request is one about events."""
        path, method = scope["path"], scope["method"]
        if path != PATH and not path.startswith(f"{PATH}/"):
            return False
        if is_reading(scope):
            return scope.get("query_string", b"").lower() not in (b"wsdl", b"wsdl=")
        return method in ("PUT", "PATCH", "DELETE") or (method == "POST" and is_json(scope))

    @staticmethod
    def level(scope: Scope) -> Level:
        """The level that a request needs; for a method that is not there, to be told so."""
        reading = ROUTES["GET /events*"]
        found = reading if is_reading(scope) else ROUTES.get(f"{scope['method']} /events/*", reading)
        return found.level

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        try:
            await self._answer(scope, receive, send, caller)
        except _NoRoute as error:
            await _problem(send, HTTPStatus.NOT_FOUND, str(error))
        except _WrongMethod as error:
            allow = [(b"allow", error.allowed.encode())]
            await _problem(send, HTTPStatus.METHOD_NOT_ALLOWED, str(error), allow)
        except BirdbathError as error:
            status = next((s for kind, s in _STATUS.items() if isinstance(error, kind)), None)
            await _problem(send, status or HTTPStatus.BAD_REQUEST, str(error))

    async def _answer(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        path, method = scope["path"].rstrip("/"), "GET" if is_reading(scope) else scope["method"]
        if (method, path) == ("GET", PATH):
            asked = question(scope, self._notifier.source)
            streamed = b"text/event-stream" in header(scope, b"accept")
            if scope["method"] == "HEAD":
                await self._describe(asked, streamed, caller, send)
                return
            with self._place(caller.address):
                await (stream if streamed else poll)(self._notifier, caller, asked, receive, send)
            return
        body = await read_body(scope, receive, LARGEST_BODY, _BODY_SECONDS) if method != "GET" else b""
        if path != SUBSCRIPTIONS and not path.startswith(f"{SUBSCRIPTIONS}/"):
            raise _no_route(method, path)
        rest = path.removeprefix(SUBSCRIPTIONS).strip("/").split("/")
        status, value, extra = await self._subscriptions(method, rest, body, caller)
        content = [] if value is None else [orjson.dumps(value, option=orjson.OPT_INDENT_2), b"\n"]
        await respond(send, status, JSON, content, extra=extra)

    async def _describe(self, asked: Question, streamed: bool, caller: Caller, send: Send) -> None:
        """Say what a GET would be answered as, without waiting, and without taking over a subscription."""
        if asked.subscription is not None:
            self._find(asked.subscription, caller)
        headers = STREAM_HEADERS if streamed else poll_headers(asked.form)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        if self._following.total() >= self._max_followers:
            raise TooMany(f"There are {self._max_followers} followers already; see event_max_followers")
        if 0 < self._max_of_one <= self._following[address]:
            raise TooMany(
                f"One client may have {self._max_of_one} followers; see event_max_followers_per_client"
            )
        self._following[address] += 1
        try:
            yield
        finally:
            self._following[address] -= 1
            if not self._following[address]:
                del self._following[address]

    async def _subscriptions(
        self, method: str, path: list[str], body: bytes, caller: Caller
    ) -> tuple[int, object, Headers]:
        match (method, path):
            case ("POST", [""]):
                made = await self._create(NewSubscription.read(body), caller)
                location = (b"location", f"{SUBSCRIPTIONS}/{made.id}".encode())
                return 201, self._shown(made, with_secret=True), [location]
            case ("GET", [""]):
                mine = [s for s in self._notifier.subscriptions.all() if self._owns(caller, s)]
                return 200, {"subscriptions": [self._shown(known) for known in mine]}, []
            case (_, [key, *rest]) if key:
                return await self._one(method, self._find(key, caller), rest, body)
        raise _no_route(method, SUBSCRIPTIONS)

    async def _one(
        self, method: str, found: Subscription, rest: list[str], body: bytes
    ) -> tuple[int, object, Headers]:
        subscriptions, key = self._notifier.subscriptions, found.id
        match (method, rest):
            case ("GET", []):
                return 200, self._shown(found), []
            case ("PATCH", []):
                return 200, await self._change(found, SubscriptionChange.read(body)), []
            case ("DELETE", []):
                await subscriptions.remove(key)
                return 204, None, []
            case ("POST", ["acknowledge"]):
                await subscriptions.acknowledge(key, Acknowledgement.read(body).through)
                return 200, self._shown(subscriptions.get(key)), []
            case ("GET", ["dead-letters"]):
                letters = [_letter(letter) for letter in subscriptions.letters(key)]
                return 200, {"dead_letters": letters}, []
            case ("POST", ["dead-letters", sequence]):
                await self._webhooks.redeliver(found, _letter_of(subscriptions.letters(key), sequence))
                return 204, None, []
            case ("DELETE", ["dead-letters", sequence]):
                letter = _letter_of(subscriptions.letters(key), sequence)
                await subscriptions.remove_letter(key, letter.event.sequence)
                return 204, None, []
        raise _no_route(method, "/".join((SUBSCRIPTIONS, key, *rest)))

    async def _create(self, wanted: NewSubscription, caller: Caller) -> Subscription:
        filter = Filter.of(wanted.topics, wanted.constraint)
        form(wanted.form)
        options: dict[str, Any] = {}
        if wanted.kind == "webhook":
            if Level.WRITE not in caller.levels:
                raise PermissionDenied("A webhook, which has the server make requests, needs WRITE")
            if wanted.url is None:
                raise InvalidWebhook("A webhook needs a url")
            options = await self._webhooks.options(wanted.url, wanted.secret, wanted.form)
        elif wanted.url or wanted.secret:
            raise BadRequest("Only a webhook has a url and a secret")
        return await self._notifier.subscriptions.create(
            wanted.kind,
            filter,
            account=caller.account,
            after=wanted.after,
            lease=wanted.lease,
            options=options,
        )

    async def _change(self, found: Subscription, change: SubscriptionChange) -> object:
        subscriptions, after = self._notifier.subscriptions, None
        if change.filter is not None:
            after = await subscriptions.update_filter(found.id, change.filter)
        if "lease" in change.model_fields_set:
            await subscriptions.renew(found.id, change.lease)
        shown = self._shown(subscriptions.get(found.id))
        return shown if after is None else {**shown, "filter_holds_after": after}

    def _find(self, key: str, caller: Caller) -> Subscription:
        found = self._notifier.subscriptions.get(key)
        self._notifier.visibility.check(caller, found)
        return found

    def _owns(self, caller: Caller, subscription: Subscription) -> bool:
        return self._notifier.visibility.owns(caller, subscription)

    def _shown(self, found: Subscription, with_secret: bool = False) -> dict[str, object]:
        options = {k: v for k, v in found.options.items() if with_secret or k != "secret"}
        return {
            "id": found.id,
            "kind": found.kind,
            # As `Filter.to_json` wrote it: to read it as one takes 40 ms at most.
            **orjson.loads(found.filter),
            "cursor": found.cursor,
            "lag": max(0, self._notifier.log.newest - found.cursor),
            "created_at": found.created_at,
            "expires_at": found.expires_at,
            **options,
        }


def _letter(letter: DeadLetter) -> dict[str, object]:
    event = letter.event
    return {
        "sequence": event.sequence,
        "event": event.id,
        "job": f"{event.cluster}.{event.proc}",
        "attempts": letter.attempts,
        "failed_at": letter.failed_at,
        "reason": letter.reason,
    }


def _letter_of(letters: list[DeadLetter], sequence: str) -> DeadLetter:
    for letter in letters:
        if str(letter.event.sequence) == sequence:
            return letter
    raise _NoRoute(f"There is no dead letter {sequence[:20]!r}")


async def _problem(send: Send, status: HTTPStatus, text: str, extra: Headers | None = None) -> None:
    problem = {"status": int(status), "title": status.phrase, "detail": text}
    await respond(send, status, _PROBLEM, [orjson.dumps(problem), b"\n"], extra=extra)
