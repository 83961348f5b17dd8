"""The whole cycle of a portal through suds, in the manner of cloud-scheduler: `client.py URL OWNER FOLDER`.

suds omits what is None, always sends an (empty) Header, and its users read answers by position. The
universe goes out as a number and the requirements as an empty string.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from suds.client import Client

NOTE = 'Gr\u00fc\u00dfe <&> "\u4e16\u754c" \u2713'


def as_dict(ad: Any) -> dict[str, str]:
    return {str(item.name): str(item.value or "") for item in ad.item}


class Portal:
    def __init__(self, url: str, owner: str) -> None:
        self.client = Client(f"{url}/condorSchedd.wsdl", cache=None)
        self.schedd = self.client.service
        self.collector = Client(f"{url}/condorCollector.wsdl", cache=None)
        self.owner = owner

    def set_attribute(self, ad: Any, name: str, value: str) -> None:
        """Change an attribute where it stands (its type stays); add it as a string if it is new."""
        for item in ad.item:
            if item.name == name:
                item.value = value
                return
        item = self.client.factory.create("ClassAdStructAttr")
        item.name, item.type, item.value = name, "STRING-ATTR", value
        ad.item.append(item)

    def submit_jobs(self, data: bytes) -> dict[str, Any]:
        """Two jobs from one template, told apart by editing `ProcId` as old scripts do."""
        begun = self.schedd.beginTransaction(60)
        extended = self.schedd.extendTransaction(begun[1], 120)
        txn = extended[1]
        cluster = self.schedd.newCluster(txn)[1]
        job = self.schedd.newJob(txn, cluster)[1]
        made = self.schedd.createJobTemplate(cluster, job, self.owner, 5, "/bin/cat", "payload.bin", "")
        template = as_dict(made.classAd)
        leading = [str(item[0]) for item in made.classAd.item[:3]]
        ad = made[1]
        self.set_attribute(ad, "Out", "job.out")
        self.set_attribute(ad, "TransferInput", "payload.bin")
        self.set_attribute(ad, "PortalNote", NOTE)
        needs = self.schedd.discoverJobRequirements(ad)
        declared = [
            self.schedd.declareFile(txn, cluster, job, "payload.bin", len(data), "NOHASH", None).code
            for _ in range(2)
        ]
        third = len(data) // 3 + 1
        for offset in (0, 2 * third, third):
            piece = base64.encodebytes(data[offset : offset + third]).decode()
            sent = self.schedd.sendFile(txn, cluster, job, "payload.bin", offset, piece)
            assert sent.code == "SUCCESS", sent
        self.set_attribute(ad, "Cmd", "payload.bin")
        submitted = self.schedd.submit(txn, cluster, job, ad)
        second = self.schedd.newJob(txn, cluster)[1]
        for name, value in (("ProcId", second), ("Requirements", "FALSE"), ("LeaveJobInQueue", "FALSE")):
            self.set_attribute(ad, name, str(value))
        self.set_attribute(ad, "Cmd", "/bin/sleep")
        self.set_attribute(ad, "Arguments", "600")
        self.schedd.submit(txn, cluster, second, ad)
        committed = self.schedd.commitTransaction(txn)
        return {
            "transaction": begun[1].id,
            "extended": txn.duration,
            "cluster": cluster,
            "jobs": [job, second],
            "leading": leading,
            "template": template,
            "requirements": [str(name) for name in needs.requirements.item],
            "declared": [str(code) for code in declared],
            "submitted": submitted.status.code,
            "committed": committed.code,
            "stale": self.schedd.newCluster(txn).status.code,
        }

    def job(self, cluster: int, job: int) -> dict[str, str]:
        return as_dict(self.schedd.getJobAd(None, cluster, job).classAd)

    def await_completion(self, cluster: int) -> list[str]:
        states: list[str] = []
        for _ in range(1500):
            answer = self.schedd.getJobAds(None, f'Owner=="{self.owner}"&&ClusterId=={cluster}&&ProcId==0')
            state = as_dict(answer.classAdArray.item[0])["JobStatus"]
            if state not in states:
                states.append(state)
            if state == "4":
                break
            time.sleep(0.1)
        return states

    def gone(self, cluster: int, job: int) -> bool:
        for _ in range(1500):
            if self.schedd.getJobAd(None, cluster, job).status.code == "UNKNOWNJOB":
                return True
            time.sleep(0.1)
        return False

    def fetch(self, cluster: int, job: int, size: int) -> bytes:
        data = b""
        while len(data) < size:
            answer = self.schedd.getFile(
                None, cluster, job, "job.out", len(data), min(40_000, size - len(data))
            )
            assert answer.status.code == "SUCCESS", answer
            data += base64.b64decode(answer.data)
        return data

    def steer(self, cluster: int, job: int) -> dict[str, Any]:
        """The calls of cloud-scheduler, word for word: holdJob with five optional arguments, releaseJob."""
        held = self.schedd.holdJob(None, cluster, job, None, False, False, True)
        held_state = self.job(cluster, job)["JobStatus"]
        released = self.schedd.releaseJob(None, cluster, job, None, False, False)
        released_state = self.job(cluster, job)["JobStatus"]
        held_again = self.schedd.holdJob(None, cluster, job, 'not "now"', False, False, False)
        reason = self.job(cluster, job)["HoldReason"]
        removed = self.schedd.removeJob(None, cluster, job, "enough", False)
        return {
            "codes": [str(s.code) for s in (held, released, held_again, removed)],
            "states": [held_state, released_state],
            "reason": reason,
            "gone": self.gone(cluster, job),
        }

    def ask_collector(self) -> dict[str, Any]:
        service, factory = self.collector.service, self.collector.factory
        everything = service.queryStartdAds()
        machines = service.queryStartdAds('Cpus >= 1 && MyType == "Machine"')
        ad = factory.create("ClassAdStruct")
        for name, value in (("MyType", "Portal"), ("Name", self.owner)):
            item = factory.create("ClassAdStructAttr")
            item.name, item.type, item.value = name, "STRING-ATTR", value
            ad.item.append(item)
        inserted = [str(service.insertAd("GENERIC-AD-TYPE", ad).code) for _ in range(2)]
        found = service.queryAnyAds(f'Name == "{self.owner}"')
        nothing = service.queryLicenseAds("FALSE")
        assert len(everything.item) >= len(machines.item)
        return {
            "machines": len(machines.item),
            "inserted": inserted,
            "found": [as_dict(ad) for ad in found.item],
            "nothing": len(nothing.item) if nothing else 0,
            "version": str(service.getVersionString().message),
        }

    def whole_cycle(self, folder: Path) -> dict[str, Any]:
        seen = self.submit_jobs((folder / "payload.bin").read_bytes())
        cluster, (job, second) = seen["cluster"], seen["jobs"]
        seen["rescheduled"] = self.schedd.requestReschedule().code
        seen["states"] = self.await_completion(cluster)
        seen["final"] = self.job(cluster, job)
        files = self.schedd.listSpool(None, cluster, job).info.item
        seen["spool"] = {str(file.name): int(file.size) for file in files}
        (folder / "fetched.out").write_bytes(self.fetch(cluster, job, seen["spool"]["job.out"]))
        seen["closed"] = self.schedd.closeSpool(None, cluster, job).code
        seen["gone"] = self.gone(cluster, job)
        seen["second"] = self.steer(cluster, second)
        seen["version"] = self.schedd.getVersionString().message
        seen["platform"] = self.schedd.getPlatformString().message
        seen["collector"] = self.ask_collector()
        return seen


if __name__ == "__main__":
    print(json.dumps(Portal(sys.argv[1], sys.argv[2]).whole_cycle(Path(sys.argv[3]))))
