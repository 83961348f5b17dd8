"""Submit a job with its input file. Usage: zeep_submit.py URL FILE

The job copies FILE to its output, `job.out`. Needs nothing but zeep (pip install zeep).
"""

import getpass
import sys
from pathlib import Path

from zeep import Client

CHUNK = 1024 * 1024


def checked(reply):
    """The reply, if it says SUCCESS. Some replies are a status, others have one."""
    status = reply if hasattr(reply, "code") else reply.status
    if status.code != "SUCCESS":
        sys.exit(f"{status.code}: {status.message}")
    return reply


if len(sys.argv) != 3:
    sys.exit(__doc__)
url, path = sys.argv[1], Path(sys.argv[2])
schedd = Client(f"{url}/condorSchedd.wsdl").create_service("{urn:condor}condorSchedd", url)

# Everything up to the commit is one transaction: if this program dies, the server forgets it after 60
# seconds.
transaction = checked(schedd.beginTransaction(60)).transaction
cluster = checked(schedd.newCluster(transaction)).integer
proc = checked(schedd.newJob(transaction, cluster)).integer

# The server proposes an ad with all that a job needs; we change what we want otherwise.
owner, arguments = getpass.getuser(), "'" + path.name.replace("'", "''") + "'"
ad = checked(schedd.createJobTemplate(cluster, proc, owner, "VANILLA", "/bin/cat", arguments, None)).classAd
wanted = {"Out": ("STRING-ATTR", "job.out"), "Err": ("STRING-ATTR", "job.err")}
ad.item = [item for item in ad.item if item.name not in wanted]
ad.item += [{"name": name, "type": kind, "value": value} for name, (kind, value) in wanted.items()]

# Files first: those declared before `submit` become the job's input files. Every call renews the 60 seconds.
checked(schedd.declareFile(transaction, cluster, proc, path.name, path.stat().st_size, "NOHASH", None))
with path.open("rb") as file:
    offset = 0
    while chunk := file.read(CHUNK):
        checked(schedd.sendFile(transaction, cluster, proc, path.name, offset, chunk))
        offset += len(chunk)

checked(schedd.submit(transaction, cluster, proc, ad))
checked(schedd.commitTransaction(transaction))
checked(schedd.requestReschedule())
print(f"{cluster}.{proc}")
