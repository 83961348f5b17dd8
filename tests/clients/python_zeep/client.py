"""The whole cycle of a portal through zeep: `client.py URL OWNER FOLDER`.

Reads FOLDER/payload.bin, writes what the job left to FOLDER/fetched.out, prints what it saw as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import zeep

NOTE = 'Gr\u00fc\u00dfe <&> "\u4e16\u754c" \u2713'


def attribute(name: str, kind: str, value: str) -> dict[str, str]:
    return {"name": name, "type": kind, "value": value}


def as_dict(ad: Any) -> dict[str, str]:
    return {item["name"]: item["value"] or "" for item in ad["item"]}


def edited(template: Any, changes: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """The template with `changes` after what they leave of it; zeep reads an empty value as None."""
    names = {change["name"] for change in changes}
    kept = [
        attribute(i["name"], i["type"], i["value"] or "") for i in template["item"] if i["name"] not in names
    ]
    return {"item": kept + changes}


def send_in_chunks(schedd: Any, txn: Any, cluster: int, job: int, data: bytes) -> None:
    third = len(data) // 3 + 1
    for offset in (0, 2 * third, third):
        piece = data[offset : offset + third]
        status = schedd.sendFile(txn, cluster, job, "payload.bin", offset, piece)
        assert status["code"] == "SUCCESS", status


def fetch(schedd: Any, cluster: int, job: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        want = min(40_000, size - len(data))
        answer = schedd.getFile(None, cluster, job, "job.out", len(data), want)
        assert answer["status"]["code"] == "SUCCESS", answer
        data += answer["data"]
    return data


def submit_jobs(schedd: Any, owner: str, data: bytes) -> dict[str, Any]:
    begun = schedd.beginTransaction(60)
    extended = schedd.extendTransaction(begun["transaction"], 120)
    txn = extended["transaction"]
    cluster = schedd.newCluster(txn)["integer"]
    job = schedd.newJob(txn, cluster)["integer"]
    made = schedd.createJobTemplate(cluster, job, owner, "VANILLA", "/bin/cat", "payload.bin", None)
    ad = edited(
        made["classAd"],
        [
            attribute("Out", "STRING-ATTR", "job.out"),
            attribute("TransferInput", "STRING-ATTR", "payload.bin"),
            attribute("PortalNote", "STRING-ATTR", NOTE),
        ],
    )
    needs = schedd.discoverJobRequirements(ad)
    declared = schedd.declareFile(txn, cluster, job, "payload.bin", len(data), "NOHASH", None)
    again = schedd.declareFile(txn, cluster, job, "payload.bin", len(data), "NOHASH", None)
    send_in_chunks(schedd, txn, cluster, job, data)
    ad = edited(ad, [attribute("Cmd", "STRING-ATTR", "payload.bin")])
    submitted = schedd.submit(txn, cluster, job, ad)
    second = schedd.newJob(txn, cluster)["integer"]
    never = schedd.createJobTemplate(cluster, second, owner, "VANILLA", "/bin/sleep", "600", "FALSE")
    schedd.submit(txn, cluster, second, edited(never["classAd"], []))
    committed = schedd.commitTransaction(txn)
    return {
        "transaction": begun["transaction"]["id"],
        "extended": txn["duration"],
        "cluster": cluster,
        "jobs": [job, second],
        "leading": [item["name"] for item in made["classAd"]["item"][:3]],
        "template": as_dict(made["classAd"]),
        "requirements": list(needs["requirements"]["item"]),
        "declared": [declared["code"], again["code"]],
        "submitted": submitted["status"]["code"],
        "committed": committed["code"],
        "stale": schedd.newCluster(txn)["status"]["code"],
    }


def await_completion(schedd: Any, owner: str, cluster: int) -> list[str]:
    constraint = f'owner == "{owner}" && ClusterId == {cluster} && ProcId == 0'
    states: list[str] = []
    for _ in range(1500):
        ads = schedd.getJobAds(None, constraint)["classAdArray"]["item"]
        state = as_dict(ads[0])["JobStatus"]
        if state not in states:
            states.append(state)
        if state == "4":
            break
        time.sleep(0.1)
    return states


def gone(schedd: Any, cluster: int, job: int) -> bool:
    for _ in range(1500):
        if schedd.getJobAd(None, cluster, job)["status"]["code"] == "UNKNOWNJOB":
            return True
        time.sleep(0.1)
    return False


def steer(schedd: Any, cluster: int, job: int) -> dict[str, Any]:
    def state() -> str:
        return as_dict(schedd.getJobAd(None, cluster, job)["classAd"])["JobStatus"]

    held = schedd.holdJob(None, cluster, job, 'not "now"', False, False, True)
    seen = as_dict(schedd.getJobAd(None, cluster, job)["classAd"])
    released = schedd.releaseJob(None, cluster, job, "go on", False, False)
    after_release = state()
    removed = schedd.removeJob(None, cluster, job, "enough", False)
    after_removal = state()
    closed = schedd.closeSpool(None, cluster, job)
    return {
        "codes": [held["code"], released["code"], removed["code"], closed["code"]],
        "states": [seen["JobStatus"], after_release, after_removal],
        "reason": seen["HoldReason"],
        "gone": gone(schedd, cluster, job),
    }


def ask_collector(collector: Any, owner: str) -> dict[str, Any]:
    """zeep gives the list of ads itself, where the reply has nothing else in it."""
    machines = collector.queryStartdAds('Cpus >= 1 && MyType == "Machine"')
    ad = [attribute("MyType", "STRING-ATTR", "Portal"), attribute("Name", "STRING-ATTR", owner)]
    first = collector.insertAd("GENERIC-AD-TYPE", {"item": ad})
    second = collector.insertAd("GENERIC-AD-TYPE", {"item": [*ad, attribute("Load", "FLOAT-ATTR", "0.5")]})
    found = collector.queryAnyAds(f'Name == "{owner}"')
    nothing = collector.queryLicenseAds("FALSE")
    return {
        "machines": len(machines),
        "inserted": [first["code"], second["code"]],
        "found": [as_dict(ad) for ad in found],
        "nothing": len(nothing or []),
        "version": collector.getVersionString()["message"],
    }


def main(url: str, owner: str, folder: Path) -> dict[str, Any]:
    schedd = zeep.Client(f"{url}/condorSchedd.wsdl").service
    collector = zeep.Client(f"{url}/condorCollector.wsdl").service
    seen = submit_jobs(schedd, owner, (folder / "payload.bin").read_bytes())
    cluster, (job, second) = seen["cluster"], seen["jobs"]
    seen["rescheduled"] = schedd.requestReschedule()["code"]
    seen["states"] = await_completion(schedd, owner, cluster)
    seen["final"] = as_dict(schedd.getJobAd(None, cluster, job)["classAd"])
    files = schedd.listSpool(None, cluster, job)["info"]["item"]
    seen["spool"] = {file["name"]: int(file["size"]) for file in files}
    (folder / "fetched.out").write_bytes(fetch(schedd, cluster, job, seen["spool"]["job.out"]))
    seen["closed"] = schedd.closeSpool(None, cluster, job)["code"]
    seen["gone"] = gone(schedd, cluster, job)
    seen["second"] = steer(schedd, cluster, second)
    seen["version"] = schedd.getVersionString()["message"]
    seen["platform"] = schedd.getPlatformString()["message"]
    seen["collector"] = ask_collector(collector, owner)
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
