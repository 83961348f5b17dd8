"""Watch a job until it has ended, and fetch its files. Usage: zeep_fetch.py URL CLUSTER.PROC FOLDER

Afterwards the job is dismissed: it leaves the queue. Needs nothing but zeep (pip install zeep).
"""

import sys
import time
from pathlib import Path

from zeep import Client

CHUNK = 1024 * 1024
STATES = {
    1: "Idle",
    2: "Running",
    3: "Removed",
    4: "Completed",
    5: "Held",
    6: "Transferring output",
    7: "Suspended",
}


def checked(reply):
    """The reply, if it says SUCCESS. Some replies are a status, others have one."""
    status = reply if hasattr(reply, "code") else reply.status
    if status.code != "SUCCESS":
        sys.exit(f"{status.code}: {status.message}")
    return reply


if len(sys.argv) != 4:
    sys.exit(__doc__)
url, folder = sys.argv[1], Path(sys.argv[3])
cluster, proc = (int(number) for number in sys.argv[2].split("."))
schedd = Client(f"{url}/condorSchedd.wsdl").create_service("{urn:condor}condorSchedd", url)

state = ""
while state not in ("Removed", "Completed", "Held"):
    ad = checked(schedd.getJobAd(None, cluster, proc)).classAd
    attributes = {item.name: item.value for item in ad.item}
    if state != STATES[int(attributes["JobStatus"])]:
        state = STATES[int(attributes["JobStatus"])]
        print(state, flush=True)
    time.sleep(0.2)
if state == "Held":
    sys.exit(attributes.get("HoldReason", "no reason given"))

# `info` is missing when there are no files. Do not take a server's word for where to write.
info = checked(schedd.listSpool(None, cluster, proc)).info
folder.mkdir(parents=True, exist_ok=True)
for entry in info.item if info else []:
    with (folder / Path(entry.name).name).open("wb") as file:
        for offset in range(0, entry.size, CHUNK):
            length = min(CHUNK, entry.size - offset)  # never ask beyond the end of the file
            file.write(checked(schedd.getFile(None, cluster, proc, entry.name, offset, length)).data)
    print(f"{entry.name}: {entry.size} bytes")

checked(schedd.closeSpool(None, cluster, proc))
