"""The same list of ads from stock Spyne: its own classes, its own Soap11, its own server."""

from __future__ import annotations

import gc
import io
import time

from birdbath.soap import spyne_compat  # isort: skip  (must come before spyne)

from spyne import Application, Array, ComplexModel, ServiceBase, Unicode, rpc
from spyne.protocol.soap import Soap11
from spyne.server.wsgi import WsgiApplication

from benchmarks.messages import KINDS, job_attributes, message

assert spyne_compat.SIX_MOVES


class Attribute(ComplexModel):  # type: ignore[misc]
    """One attribute of an ad."""

    __namespace__ = "urn:condor"
    name = Unicode
    type = Unicode
    value = Unicode


def seconds(ads: int) -> float:
    """How long stock Spyne takes to answer that many ads of 80 attributes, its objects being ready."""
    objects = [
        [Attribute(name=name, type=KINDS[kind], value=text) for name, kind, text in job_attributes(number, 0)]
        for number in range(ads)
    ]

    class Schedd(ServiceBase):  # type: ignore[misc]
        @rpc(Unicode, _returns=Array(Array(Attribute)))
        def getJobAds(ctx, constraint):  # type: ignore[no-untyped-def]
            return objects

    application = WsgiApplication(
        Application([Schedd], tns="urn:condor", in_protocol=Soap11(), out_protocol=Soap11())
    )
    body = message("getJobAds")
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "text/xml; charset=utf-8",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    gc.collect()
    started = time.perf_counter()
    reply = b"".join(application(environ, lambda status, headers: None))
    taken = time.perf_counter() - started
    if reply.count(b"BenchmarkAttribute79") != ads:
        raise RuntimeError(reply[:2000].decode())
    return taken
