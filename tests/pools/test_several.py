"""Several pools behind one door: each at its path, with everything that one alone has at the root."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
import zeep

from birdbath.client import Schedd
from birdbath.doctor import Verdict, examine
from birdbath.pool_tables import pools_of
from birdbath.settings import InvalidSettings, load_settings
from birdbath.soap import wsdl
from tests.pools.several import collector, get, get_json, schedd, several_pools, submit_one
from tests.server_process import ServerProcess, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with several_pools(tmp_path_factory.mktemp("several")) as server:
        yield server


def test_the_databases_lie_in_the_home_folder_whatever_that_is_called(tmp_path: Path) -> None:
    with several_pools(tmp_path / "a?b%41"):
        home = tmp_path / "a?b%41" / "home"
        assert {database.parent.name for database in home.rglob("birdbath.db")} == {
            "home",
            "large",
            "federation",
        }


def test_the_pools_are_listed(server: ServerProcess) -> None:
    assert {"small", "large"} <= set(get_json(server, "/pools")["pools"])


@pytest.mark.parametrize("pool", ["small", "large"])
def test_the_wsdl_names_the_pools_address(server: ServerProcess, pool: str) -> None:
    base = f"{server.url}/pools/{pool}"
    for path in ("/schedd?wsdl", "/condorSchedd.wsdl"):
        assert get(server, f"/pools/{pool}{path}") == (200, wsdl("condorSchedd", f"{base}/schedd"))
    assert get(server, f"/pools/{pool}/collector?wsdl")[1] == wsdl("condorCollector", f"{base}/collector")


@pytest.mark.parametrize("pool", ["", "pools/small", "pools/small/", "pools/federation", "pools/federation/"])
def test_the_links_of_a_pools_page_lead_somewhere(server: ServerProcess, pool: str) -> None:
    page = get(server, f"/{pool}")[1].decode()
    links = re.findall(r'href="([^"]+)"', page)
    assert "condorSchedd.wsdl" in links[0]
    for link in links:
        path = urljoin(f"/{pool}", link)
        assert get(server, path)[0] == 200, path
    assert ("events?wait=0" in page) == ("federation" not in pool)  # which has no events of its own


def test_a_client_made_from_a_pools_wsdl_talks_to_that_pool(server: ServerProcess) -> None:
    for pool, machine in (("small", "small.example.org"), ("large", "large.example.org")):
        service = zeep.Client(f"{server.url}/pools/{pool}/collector?wsdl").service
        ads = service.queryStartdAds("")
        names = {a["value"] for ad in ads for a in ad["item"] if a["name"] == "Machine"}
        assert names == {machine}


def test_the_pools_keep_their_jobs_apart(server: ServerProcess) -> None:
    here, there = schedd(server, "small"), schedd(server, "large")
    first, second = submit_one(here), submit_one(there)
    assert here.job_ad(first, 0).string("GlobalJobId").startswith("schedd@birdbath.example.org#")
    assert there.job_ad(second, 0).string("GlobalJobId").startswith("large@birdbath.example.org#")


def test_the_servers_own_pool_is_at_the_root_too(server: ServerProcess) -> None:
    cluster = submit_one(schedd(server, "small"))
    with urllib.request.urlopen(f"{server.url}/events?wait=0", timeout=60) as reply:
        assert json.load(reply)
    with Schedd(f"{server.url}/schedd") as root:
        assert root.job_ad(cluster, 0).integer("ClusterId") == cluster


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_client_finds_a_pool_by_its_address(server: ServerProcess, slash: str) -> None:
    cluster = submit_one(schedd(server, "small"))
    with Schedd(f"{server.url}/pools/small{slash}") as client:
        assert client.job_ad(cluster, 0).integer("ClusterId") == cluster


def test_a_pool_that_is_not_there_is_not_the_servers_own(server: ServerProcess) -> None:
    assert get(server, "/pools/nosuch/schedd?wsdl")[0] == 404
    request = urllib.request.Request(f"{server.url}/pools/nosuch/schedd", b"<x/>", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    with refused.value as answer:
        assert answer.code == 404
        assert b"no such pool" in answer.read()


def test_the_list_of_pools_is_only_read(server: ServerProcess) -> None:
    for method, expected in (("HEAD", 200), ("DELETE", 405)):
        reply = requests.request(method, f"{server.url}/pools", timeout=60)
        assert reply.status_code == expected
        assert reply.headers.get("allow") == ("GET, HEAD" if expected == 405 else None)


def test_a_server_with_one_pool_answers_to_its_name_only(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        assert get_json(server, "/pools") == {"pools": ["default"]}
        assert get(server, "/pools/nosuch/schedd?wsdl")[0] == 404
        assert get(server, "/pools/default/schedd?wsdl") == (
            200,
            wsdl("condorSchedd", f"{server.url}/schedd"),
        )


def test_each_pool_has_its_events(server: ServerProcess) -> None:
    submit_one(schedd(server, "large"))
    sources = {event["source"] for event in get_json(server, "/pools/large/events?wait=0&after=0")}
    assert sources == {"urn:condor:large@birdbath.example.org"}


def test_each_pool_has_its_clock(server: ServerProcess) -> None:
    for pool in ("small", "large"):
        assert get_json(server, f"/pools/{pool}/pool/clock")["speed"] == "max"


def test_readiness_tells_of_every_pool(server: ServerProcess) -> None:
    assert get_json(server, "/pools/large/health/ready") == {"status": "ready", "troubles": {}}
    answer = get_json(server, "/health/ready")
    assert answer["status"] == "ready"
    assert answer["pools"]["large"] == {}


def test_figures_say_whose_they_are(server: ServerProcess) -> None:
    list(schedd(server, "large").job_ads())
    list(collector(server, "small").startd_ads())
    text = get(server, "/metrics")[1].decode()
    assert 'birdbath_requests_total{operation="getJobAds",outcome="SUCCESS",pool="large"}' in text
    assert 'birdbath_requests_total{operation="queryStartdAds",outcome="SUCCESS",pool="small"}' in text
    assert 'birdbath_database_up{pool="large"} 1.0' in text
    assert "\nbirdbath_connections " in text
    assert 'pool="' not in get(server, "/pools/large/metrics")[1].decode()


def test_the_trail_says_which_pool(server: ServerProcess) -> None:
    submit_one(schedd(server, "large"))
    lines = [json.loads(line) for line in (server.log.parent / "audit.log").read_text().splitlines()]
    assert lines[-1]["operation"] == "commitTransaction"
    assert lines[-1]["pool"] == "large"


def settings(folder: Path, text: str) -> Path:
    file = folder / "birdbath.toml"
    file.write_text(f'home = "{folder}"\n{text}')
    return file


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[pools.federation]", "no pool can be called 'federation'"),
        ('[pools."a/b"]', "no pool can be called 'a/b'"),
        ("[pools.x]\nport = 1", "no settings of a pool: port"),
        ("[pools.x]\nspeed = -1", "pools.x: speed"),
        ("[pools.default]", "already"),
        ('[pools.x]\nhome = "{folder}"', "a home of its own"),
    ],
)
def test_tables_that_make_no_sense(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InvalidSettings, match=why):
        pools_of(load_settings(settings(tmp_path, text.format(folder=tmp_path))))


def test_what_a_pool_takes_from_the_server_and_what_not(tmp_path: Path) -> None:
    text = (
        'speed = 3.0\nuid_domain = "example.net"\nschedd_name = "s@host"\nmax_jobs_per_owner = 7\n[pools.x]\n'
    )
    pools = pools_of(load_settings(settings(tmp_path, text)))
    own, further = pools.values()
    assert list(pools) == ["default", "x"]
    assert (own.speed, further.speed) == (3.0, None)
    assert (further.uid_domain, further.schedd_name, further.max_jobs_per_owner) == (
        "example.net",
        "x@host",
        7,
    )
    assert further.folder == tmp_path / "pools" / "x"
    assert own.ad_memory_bytes + further.ad_memory_bytes <= load_settings().ad_memory_bytes


def test_the_doctor_looks_at_every_pool(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    text = f'[pools.x]\n[pools.y]\nhome = "{tmp_path}/taken"'
    found = {finding.part: finding.verdict for finding in examine(load_settings(settings(tmp_path, text)))}
    assert found["x: home"] == found["x: database"] == Verdict.GOOD
    assert found["y: home"] == Verdict.BAD
