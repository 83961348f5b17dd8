"""A peer without a broker, as a process of its own: one node that keeps what it is sent and gives it to
whoever receives. Nothing of the project is imported here.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque

from proton import Endpoint, Event, Link, Message
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector


class Node(MessagingHandler):
    """Messages that were not accepted go to the next receiver."""

    def __init__(self, port: int, refusals: int) -> None:
        super().__init__(auto_accept=False, auto_settle=True)
        self._port = port
        self._refusals = refusals
        self._waiting: deque[Message] = deque()
        self._receivers: list[Link] = []
        self._given: dict[str, Message] = {}
        self._injector = EventInjector()

    def obey(self) -> None:
        """Do what is said on standard input."""
        for line in sys.stdin:
            self._injector.trigger(ApplicationEvent(line.strip()))

    def on_start(self, event: Event) -> None:
        event.container.selectable(self._injector)
        event.container.listen(f"127.0.0.1:{self._port}")
        print("listening", flush=True)

    def on_drop_receivers(self, event: Event) -> None:
        for link in list(self._receivers):
            link.connection.close()
            self._forget(link)

    def on_link_opening(self, event: Event) -> None:
        link = event.link
        link.source.address, link.target.address = link.remote_source.address, link.remote_target.address
        if link.is_sender:
            self._receivers.append(link)

    def on_link_closing(self, event: Event) -> None:
        self._forget(event.link)

    def on_disconnected(self, event: Event) -> None:
        for link in list(self._receivers):
            if link.connection == event.connection or link.state & Endpoint.REMOTE_CLOSED:
                self._forget(link)

    def _forget(self, link: Link) -> None:
        if link in self._receivers:
            self._receivers.remove(link)
            back = [self._given.pop(tag) for tag in [t for t in self._given if t.startswith(link.name)]]
            self._waiting.extendleft(reversed(back))

    def on_message(self, event: Event) -> None:
        if self._refusals:
            self._refusals -= 1
            self.release(event.delivery, delivered=False)
            return
        message = event.message
        self._waiting.append(message)
        self.accept(event.delivery)
        shown = {
            "id": message.id,
            "subject": message.subject,
            "durable": message.durable,
            "content_type": message.content_type,
            "properties": message.properties,
            "body": bytes(message.body).decode(),
        }
        print(json.dumps(shown), flush=True)
        self._give()

    def on_sendable(self, event: Event) -> None:
        self._give()

    def on_accepted(self, event: Event) -> None:
        self._given.pop(event.delivery.tag, None)

    def _give(self) -> None:
        for link in self._receivers:
            while link.credit > 0 and self._waiting:
                message = self._waiting.popleft()
                tag = f"{link.name}/{message.id}"
                self._given[tag] = message
                link.send(message, tag=tag)


def main() -> None:
    """`node PORT REFUSALS`: commands come by standard input, what was accepted goes to standard output."""
    node = Node(int(sys.argv[1]), int(sys.argv[2]))
    commands = threading.Thread(target=node.obey, daemon=True)
    commands.start()
    Container(node).run()


if __name__ == "__main__":
    main()
