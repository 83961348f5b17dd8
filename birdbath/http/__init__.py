"""HTTP: the ASGI application in front of the SOAP server."""

from birdbath.http.application import HttpApplication, HttpSettings

__all__ = ["HttpApplication", "HttpSettings"]
