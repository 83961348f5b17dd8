"""What holds for every test: an environment without the caller's settings, and how Hypothesis searches."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import htcondor_pool as pools
from tests.htcondor.sweeper import Sweeper
from tests.toolkit import in_ci

# A test and the servers it starts must not see the settings, proxies or language of whoever runs the tests.
for _name in list(os.environ):
    if _name.startswith("BIRDBATH_") or _name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
        del os.environ[_name]
os.environ["NO_PROXY"] = "*"
os.environ["LC_ALL"] = "C.UTF-8"

# Whoever runs the tests in the background of a shell has these ignored, and all that is started inherits it.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)

# No deadline: the machine may be busy with the other half of the tests. In CI the same examples every time,
# so that a red run tells something of the change it ran on; everywhere else new ones.
settings.register_profile(
    "birdbath", deadline=None, derandomize=in_ci(), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("birdbath")


@pytest.fixture(scope="session")
def htcondor_pool() -> Iterator[pools.HTCondorPool]:
    """A running HTCondor pool of one machine, the same for all tests of the run."""
    pools.require_htcondor()
    with pools.running(*pools.NO_REFUSED_JOBS) as pool:
        yield pool


@pytest.fixture(scope="session")
def sweeper(htcondor_pool: pools.HTCondorPool) -> Iterator[Sweeper]:
    """Empties that pool's queue."""
    opened = Sweeper(htcondor_pool.configuration)
    yield opened
    opened.close()
