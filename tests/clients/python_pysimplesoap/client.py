"""The whole cycle of a portal through PySimpleSOAP: `client.py URL OWNER FOLDER`.

PySimpleSOAP 1.16.2 calls a function that Python 3.11 dropped when it finds httplib2, so httplib2 is hidden
from it. It does not understand lists of a simple type (the requirements) unless told not to be strict, makes
one list of the attributes of all ads of a reply (each ad begins where MyType stands), puts the children into
the wrapper's namespace, sends a Header always, and leaves base64 to its user.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.modules["httplib2"] = None  # type: ignore[assignment]
from pysimplesoap.client import SoapClient  # noqa: E402

NOTE = 'Gr\u00fc\u00dfe <&> "\u4e16\u754c" \u2713'


def attribute(name: str, kind: str, value: str) -> dict[str, str]:
    return {"name": name, "type": kind, "value": value}


def as_dict(ad: Any) -> dict[str, str]:
    return {item["name"]: item["value"] or "" for item in ad["item"]}


def ads_in(container: Any) -> list[dict[str, str]]:
    ads: list[dict[str, str]] = []
    for attributes in container["item"] if container else []:
        for item in attributes["item"]:
            if item["name"] == "MyType":
                ads.append({})
            ads[-1][item["name"]] = item["value"] or ""
    return ads


def edited(template: Any, changes: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    names = {change["name"] for change in changes}
    kept = [
        attribute(i["name"], i["type"], i["value"] or "") for i in template["item"] if i["name"] not in names
    ]
    return {"item": kept + changes}


class Portal:
    def __init__(self, url: str, owner: str) -> None:
        self.schedd = SoapClient(wsdl=f"{url}/condorSchedd.wsdl", cache=None, strict=False)
        self.collector = SoapClient(wsdl=f"{url}/condorCollector.wsdl", cache=None)
        self.owner = owner

    def call(self, operation: str, cluster: int, job: int, **others: Any) -> Any:
        """An operation on one job; its answer, which is `response` of the reply."""
        return getattr(self.schedd, operation)(clusterId=cluster, jobId=job, **others)["response"]

    def template(self, cluster: int, job: int, cmd: str, args: str, **others: str) -> Any:
        asked = {"owner": self.owner, "type": "VANILLA", "cmd": cmd, "args": args, **others}
        return self.call("createJobTemplate", cluster, job, **asked)["classAd"]

    def submit_jobs(self, data: bytes) -> dict[str, Any]:
        begun = self.schedd.beginTransaction(duration=60)["response"]["transaction"]
        extended = self.schedd.extendTransaction(transaction=begun, duration=120)["response"]
        txn = extended["transaction"]
        cluster = self.schedd.newCluster(transaction=txn)["response"]["integer"]
        job = self.schedd.newJob(transaction=txn, clusterId=cluster)["response"]["integer"]
        made = self.template(cluster, job, "/bin/cat", "payload.bin")
        ad = edited(
            made,
            [
                attribute("Out", "STRING-ATTR", "job.out"),
                attribute("TransferInput", "STRING-ATTR", "payload.bin"),
                attribute("PortalNote", "STRING-ATTR", NOTE),
            ],
        )
        needs = self.schedd.discoverJobRequirements(jobAd=ad)["response"]
        file = {"transaction": txn, "name": "payload.bin"}
        declared = [
            self.call("declareFile", cluster, job, size=len(data), hashType="NOHASH", **file)["code"]
            for _ in range(2)
        ]
        third = len(data) // 3 + 1
        for offset in (0, 2 * third, third):
            piece = base64.b64encode(data[offset : offset + third]).decode()
            sent = self.call("sendFile", cluster, job, offset=offset, data=piece, **file)
            assert sent["code"] == "SUCCESS", sent
        ad = edited(ad, [attribute("Cmd", "STRING-ATTR", "payload.bin")])
        submitted = self.call("submit", cluster, job, transaction=txn, jobAd=ad)
        second = self.schedd.newJob(transaction=txn, clusterId=cluster)["response"]["integer"]
        never = edited(self.template(cluster, second, "/bin/sleep", "600", requirements="FALSE"), [])
        self.call("submit", cluster, second, transaction=txn, jobAd=never)
        committed = self.schedd.commitTransaction(transaction=txn)["response"]
        return {
            "transaction": begun["id"],
            "extended": txn["duration"],
            "cluster": cluster,
            "jobs": [job, second],
            "leading": [item["name"] for item in made["item"][:3]],
            "template": as_dict(made),
            "requirements": [entry["item"] for entry in needs["requirements"]["item"]],
            "declared": declared,
            "submitted": submitted["status"]["code"],
            "committed": committed["code"],
            "stale": self.schedd.newCluster(transaction=txn)["response"]["status"]["code"],
        }

    def job(self, cluster: int, job: int) -> dict[str, str]:
        return as_dict(self.call("getJobAd", cluster, job)["classAd"])

    def await_completion(self, cluster: int) -> list[str]:
        constraint = f'Owner == "{self.owner}" && ClusterId == {cluster} && ProcId == 0'
        states: list[str] = []
        for _ in range(1500):
            answer = self.schedd.getJobAds(constraint=constraint)["response"]
            (ad,) = ads_in(answer["classAdArray"])
            state = ad["JobStatus"]
            if state not in states:
                states.append(state)
            if state == "4":
                break
            time.sleep(0.1)
        return states

    def gone(self, cluster: int, job: int) -> bool:
        for _ in range(1500):
            if self.call("getJobAd", cluster, job)["status"]["code"] == "UNKNOWNJOB":
                return True
            time.sleep(0.1)
        return False

    def fetch(self, cluster: int, job: int, size: int) -> bytes:
        data = b""
        while len(data) < size:
            span = {"offset": len(data), "length": min(40_000, size - len(data))}
            answer = self.call("getFile", cluster, job, name="job.out", **span)
            assert answer["status"]["code"] == "SUCCESS", answer
            data += base64.b64decode(answer["data"])
        return data

    def steer(self, cluster: int, job: int) -> dict[str, Any]:
        mails = {"email-user": False, "email-admin": False}
        reason = 'not "now"'
        held = self.call("holdJob", cluster, job, reason=reason, **mails, **{"system-hold": True})
        seen = self.job(cluster, job)
        released = self.call("releaseJob", cluster, job, reason="go on", **mails)
        after_release = self.job(cluster, job)["JobStatus"]
        removed = self.call("removeJob", cluster, job, reason="enough", **{"force-removal": False})
        after_removal = self.job(cluster, job)["JobStatus"]
        closed = self.call("closeSpool", cluster, job)
        return {
            "codes": [held["code"], released["code"], removed["code"], closed["code"]],
            "states": [seen["JobStatus"], after_release, after_removal],
            "reason": seen["HoldReason"],
            "gone": self.gone(cluster, job),
        }

    def ask_collector(self) -> dict[str, Any]:
        machines = self.collector.queryStartdAds(constraint='Cpus >= 1 && MyType == "Machine"')
        ad = [attribute("MyType", "STRING-ATTR", "Portal"), attribute("Name", "STRING-ATTR", self.owner)]
        inserted = [
            self.collector.insertAd(type="GENERIC-AD-TYPE", ad={"item": ad})["status"]["code"]
            for _ in range(2)
        ]
        found = self.collector.queryAnyAds(constraint=f'Name == "{self.owner}"')
        nothing = self.collector.queryLicenseAds(constraint="FALSE")["result"]
        return {
            "machines": len(ads_in(machines["result"])),
            "inserted": inserted,
            "found": ads_in(found["result"]),
            "nothing": len(ads_in(nothing)),
            "version": self.collector.getVersionString()["response"]["message"],
        }

    def whole_cycle(self, folder: Path) -> dict[str, Any]:
        seen = self.submit_jobs((folder / "payload.bin").read_bytes())
        cluster, (job, second) = seen["cluster"], seen["jobs"]
        seen["rescheduled"] = self.schedd.requestReschedule()["response"]["code"]
        seen["states"] = self.await_completion(cluster)
        seen["final"] = self.job(cluster, job)
        files = self.call("listSpool", cluster, job)["info"]["item"]
        seen["spool"] = {file["name"]: int(file["size"]) for file in files}
        (folder / "fetched.out").write_bytes(self.fetch(cluster, job, seen["spool"]["job.out"]))
        seen["closed"] = self.call("closeSpool", cluster, job)["code"]
        seen["gone"] = self.gone(cluster, job)
        seen["second"] = self.steer(cluster, second)
        seen["version"] = self.schedd.getVersionString()["response"]["message"]
        seen["platform"] = self.schedd.getPlatformString()["response"]["message"]
        seen["collector"] = self.ask_collector()
        return seen


if __name__ == "__main__":
    print(json.dumps(Portal(sys.argv[1], sys.argv[2]).whole_cycle(Path(sys.argv[3]))))
