"""How calls go out."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import requests
from lxml import etree

from birdbath.client import AdType, Collector, Expression, InvalidValue, Schedd, Universe
from birdbath.client.wire import new_session
from birdbath.soap import wsdl
from tests.client.fake import SUCCESS, Fake


def sent(fake: Fake) -> dict[str, str | None]:
    """The leaves of the last call, by their path."""
    tree = etree.ElementTree(fake.asked[-1])
    return {tree.getelementpath(node): node.text for node in fake.asked[-1].iter() if not len(node)}


def test_calls_go_to_the_url_that_was_given_whatever_the_wsdl_says(fake: Fake) -> None:
    fake.answer("requestReschedule", SUCCESS)

    Schedd(fake.url).request_reschedule()

    assert fake.operations() == ["requestReschedule"]


def test_the_wsdl_is_looked_for_beside_the_url(fake: Fake) -> None:
    fake.answer("requestReschedule", SUCCESS)
    schedd = Schedd(f"{fake.url}/schedd")

    schedd.request_reschedule()
    schedd.request_reschedule()

    assert fake.paths == ["/condorSchedd.wsdl"]


def test_a_wsdl_of_ones_own_may_be_given(fake: Fake, tmp_path: Path) -> None:
    fake.answer("requestReschedule", SUCCESS)
    own = tmp_path / "own.wsdl"
    own.write_bytes(wsdl("condorSchedd"))

    Schedd(fake.url, wsdl=str(own)).request_reschedule()

    assert (fake.paths, fake.operations()) == ([], ["requestReschedule"])


def test_one_session_carries_everything(fake: Fake) -> None:
    fake.answer("requestReschedule", SUCCESS)
    fake.answer("getJobAds", f"<status>{SUCCESS}</status>")
    session = requests.Session()
    seen: list[str] = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.request.method))

    with Schedd(fake.url, session=session) as schedd:
        schedd.request_reschedule()
        list(schedd.job_ads())

    assert seen == ["GET", "POST", "POST"]


def test_flags_are_sent_under_their_names_with_hyphens(fake: Fake) -> None:
    for operation in ("holdJob", "releaseJob", "removeJob"):
        fake.answer(operation, SUCCESS)
    schedd = Schedd(fake.url)

    schedd.hold(7, 1, "why", email_user=True, system_hold=True)
    assert sent(fake) == {
        "clusterId": "7",
        "jobId": "1",
        "reason": "why",
        "email-user": "true",
        "email-admin": "false",
        "system-hold": "true",
    }
    schedd.release(7, 1, email_admin=True)
    assert (sent(fake)["email-user"], sent(fake)["email-admin"]) == ("false", "true")
    schedd.remove(7, 1, force=True)
    assert sent(fake)["force-removal"] == "true"


def test_the_lease_that_the_server_granted_is_handed_back(fake: Fake) -> None:
    def granted(number: int, seconds: int) -> str:
        lease = f"<transaction><id>{number}</id><duration>{seconds}</duration></transaction>"
        return f"<status>{SUCCESS}</status>{lease}"

    fake.answer("beginTransaction", granted(-5, 30))
    fake.answer("extendTransaction", granted(-5, 90))
    fake.answer("commitTransaction", SUCCESS)
    fake.answer("getFile", f"<status>{SUCCESS}</status>")

    with Schedd(fake.url).transaction(600) as transaction:
        assert transaction.lease == (-5, 30)
        transaction.extend(1000)
        assert sent(fake) == {"transaction/id": "-5", "transaction/duration": "30", "duration": "1000"}

    assert sent(fake) == {"transaction/id": "-5", "transaction/duration": "90"}
    assert fake.operations()[-1] == "commitTransaction"


def test_a_template_is_asked_for_with_the_name_of_the_universe(fake: Fake) -> None:
    lease = "<transaction><id>5</id><duration>60</duration></transaction>"
    fake.answer("beginTransaction", f"<status>{SUCCESS}</status>{lease}")
    for operation in ("newCluster", "newJob"):
        fake.answer(operation, f"<status>{SUCCESS}</status><integer>4</integer>")
    items = (
        "<item><name>In</name><type>STRING-ATTR</type><value></value></item>"
        "<item><name>Rank</name><type>EXPRESSION-ATTR</type><value>a + b</value></item>"
    )
    fake.answer("createJobTemplate", f"<status>{SUCCESS}</status><classAd>{items}</classAd>")

    job = Schedd(fake.url).begin().new_cluster().new_job()
    ad = job.template("java", "Main 'two words'", owner="zoë", universe=Universe.JAVA, requirements="x > 1")

    assert ad == {"In": "", "Rank": Expression("a + b")}
    assert job.id == (4, 4)
    assert str(job.id) == "4.4"
    assert sent(fake) == {
        "clusterId": "4",
        "jobId": "4",
        "owner": "zoë",
        "type": "JAVA",
        "cmd": "java",
        "args": "Main 'two words'",
        "requirements": "x > 1",
    }


def test_an_ad_is_inserted_with_typed_values(fake: Fake) -> None:
    fake.answer("insertAd", "<code>SUCCESS</code><message>New ad inserted</message>", container="status")

    said = Collector(fake.url).insert_ad(AdType.SUBMITTER, {"Name": "x", "Load": 0.5})

    assert said == "New ad inserted"
    assert sent(fake) == {
        "type": "SUBMITTOR-AD-TYPE",
        "ad/item[1]/name": "Name",
        "ad/item[1]/type": "STRING-ATTR",
        "ad/item[1]/value": "x",
        "ad/item[2]/name": "Load",
        "ad/item[2]/type": "FLOAT-ATTR",
        "ad/item[2]/value": "0.5",
    }


def test_requirements_are_a_list_of_names(fake: Fake) -> None:
    names = "<requirements><item>a</item><item>b</item></requirements>"
    fake.answer("discoverJobRequirements", f"<status>{SUCCESS}</status>{names}")

    assert Schedd(fake.url).discover_requirements({"Cmd": "a", "In": "b"}) == ["a", "b"]


def test_a_server_on_this_machine_is_reached_without_a_proxy() -> None:
    assert not new_session("http://127.0.0.1:80").trust_env
    assert not new_session("http://[::1]:80").trust_env
    assert not new_session("http://localhost").trust_env
    assert new_session("http://pool.example.org").trust_env


def test_a_file_is_called_like_its_source_unless_said_otherwise(fake: Fake, tmp_path: Path) -> None:
    lease = "<transaction><id>5</id><duration>60</duration></transaction>"
    fake.answer("beginTransaction", f"<status>{SUCCESS}</status>{lease}")
    for operation in ("newCluster", "newJob"):
        fake.answer(operation, f"<status>{SUCCESS}</status><integer>4</integer>")
    fake.answer("declareFile", SUCCESS)
    path = tmp_path / "data.bin"
    path.touch()
    job = Schedd(fake.url).begin().new_cluster().new_job()

    job.upload(path)
    assert sent(fake)["name"] == "data.bin"
    with path.open("rb") as stream:
        job.upload(stream)
    assert sent(fake)["name"] == "data.bin"
    job.upload(path, "other")
    assert sent(fake)["name"] == "other"
    job.upload(b"", "of bytes")
    assert sent(fake)["name"] == "of bytes"
    with pytest.raises(InvalidValue, match="bytes need a name"):
        job.upload(b"")
    with pytest.raises(InvalidValue, match="no name of its own"):
        job.upload(io.BytesIO())
