"""Whether a server could start with its settings, without starting it."""

from __future__ import annotations

from birdbath import admission
from birdbath.doctor import check_places
from birdbath.http.audit import Audit
from birdbath.http.tracing import Tracing
from birdbath.notify.services import check_services
from birdbath.pool_tables import HTCONDOR, pools_of
from birdbath.server import check_expressions, description, local_runs
from birdbath.settings import Settings


def check(settings: Settings) -> None:
    """Raise the BirdbathError that a server with these settings would end with at its start.

    Not looked at are the address, which a running server has, and the pool.
    """
    admission.check_listening(settings)
    admission.tls(settings)
    admission.authentication(settings)
    for of_pool in pools_of(settings).values():
        check_places(of_pool)
        check_expressions(of_pool)
        check_services(of_pool)
        local_runs(of_pool)
        if of_pool.pool != HTCONDOR:
            description(of_pool)
    if settings.audit_log:  # the default one is in the home folder, which may not be there yet
        Audit(settings.audit_path).close()
    if settings.otlp_endpoint:
        Tracing.to(settings.otlp_endpoint).close()
