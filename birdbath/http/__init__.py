"""HTTP: the ASGI application in front of the SOAP server."""

from birdbath.http.application import HttpApplication, HttpSettings, create_application

__all__ = ["HttpApplication", "HttpSettings", "create_application"]
