"""One connection: Uvicorn's protocol, with what it does not tell of TLS."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from birdbath.credentials.mapfile import one_line


class Connection(HttpToolsProtocol):
    """Requests of a TLS connection have the subject of its client certificate in their scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._extensions = _tls_extension(transport)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions


def _tls_extension(transport: asyncio.Transport) -> dict[str, Any] | None:
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    certificate = tls.getpeercert()  # empty unless it was verified
    subject = one_line(certificate["subject"]) if certificate else None
    return {"tls": {"client_subject": subject}}
