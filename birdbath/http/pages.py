"""What GET answers: the WSDL files and one page that says what this is."""

from __future__ import annotations

from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from birdbath.soap import ServiceName, wsdl

SCHEDD_PATH: Final = "/schedd"
COLLECTOR_PATH: Final = "/collector"
EVENTS_PATH: Final = "/events"
QUERIES_PATH: Final = "/queries"
FEDERATION_PATH: Final = "/recommend"

_PATHS: Final[dict[ServiceName, str]] = {
    "condorSchedd": SCHEDD_PATH,
    "condorCollector": COLLECTOR_PATH,
    "birdbathEvents": EVENTS_PATH,
    "birdbathQueries": QUERIES_PATH,
    "birdbathFederation": FEDERATION_PATH,
}

_FILES: Final[dict[str, ServiceName]] = {f"{name.lower()}.wsdl": name for name in _PATHS}

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Birdbath</title>
<style>
  body {{ font: 1.05rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem;
         color: #222; background: #fdfdfb }}
  h1 {{ font-size: 1.6rem }}
  code {{ font-family: ui-monospace, monospace; font-size: .95em; overflow-wrap: anywhere }}
  @media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #1b1d1e }} a {{ color: #8cc4ff }} }}
</style>
</head>
<body>
<h1>Birdbath {version}</h1>
<p>A SOAP front door for HTCondor-style pools: the interface that <code>condor_schedd</code> and
<code>condor_collector</code> spoke from 2005 to 2018. Jobs are submitted, watched and fetched by POST;
clients generated from the original WSDL work unchanged.</p>
<ul>
  <li><a href="{near}condorSchedd.wsdl">condorSchedd.wsdl</a>: the job queue, at <code>{schedd}</code></li>
  <li><a href="{near}condorCollector.wsdl">condorCollector.wsdl</a>: the machines,
  at <code>{collector}</code></li>
  <li><a href="{near}birdbathEvents.wsdl">birdbathEvents.wsdl</a>: the events of jobs,
  at <code>{events}</code>{followed}</li>
  <li><a href="{near}birdbathQueries.wsdl">birdbathQueries.wsdl</a>: long listings in pages,
  at <code>{queries}</code></li>
  <li><a href="{near}birdbathFederation.wsdl">birdbathFederation.wsdl</a>: which of several pools suits a job,
  at <code>{federation}</code></li>
</ul>
<p>From a shell: <code>birdbath q --all --url {base}</code>. For those who run it:
<a href="{near}health/ready">whether it is well</a>, <a href="{near}metrics">figures for Prometheus</a>.</p>
</body>
</html>
"""


_FOLLOWED: Final = """,
  where a GET follows them too: <a href="{near}events?wait=0">a list</a>, or a stream for EventSource"""


def service_of(path: str, query: str, default: ServiceName) -> ServiceName | None:
    """Which WSDL a GET asks for: by file name, or by `?wsdl` on any path; None when it asks for none."""
    name = path.rpartition("/")[2].lower()
    if name.endswith(".wsdl"):
        return _FILES.get(name)
    if query.lower() not in ("wsdl", "wsdl="):
        return None
    if "collector" in path.lower():
        return "condorCollector"
    if path.rstrip("/").lower() == EVENTS_PATH:
        return "birdbathEvents"
    if path.rstrip("/").lower() == QUERIES_PATH:
        return "birdbathQueries"
    if path.rstrip("/").lower() == FEDERATION_PATH:
        return "birdbathFederation"
    return "condorSchedd" if "schedd" in path.lower() else default


def wsdl_page(service: ServiceName, base: str) -> bytes:
    """The WSDL of a service of the server at `base`."""
    return wsdl(service, base + _PATHS[service])


def index_page(base: str, near: str = "", followed: bool = True) -> bytes:
    """The page at `/`. Its links are relative, as a proxy may have it elsewhere, and begin with `near`.

    Without `followed` it does not say that events are there for a GET.
    """
    text = _PAGE.format(
        version=escape(_version()),
        near=escape(near),
        followed=_FOLLOWED.format(near=escape(near)) if followed else "",
        base=escape(base),
        schedd=escape(base + SCHEDD_PATH),
        collector=escape(base + COLLECTOR_PATH),
        events=escape(base + EVENTS_PATH),
        queries=escape(base + QUERIES_PATH),
        federation=escape(base + FEDERATION_PATH),
    )
    return text.encode()


def _version() -> str:
    try:
        return version("birdbath")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return ""
