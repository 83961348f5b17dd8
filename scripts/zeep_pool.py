"""Look at the pool, and hold, release and remove a job. Usage: zeep_pool.py URL

Submits a job of its own for that. Needs nothing but zeep (pip install zeep).
"""

import getpass
import sys

from zeep import Client


def checked(reply):
    """The reply, if it says SUCCESS. Some replies are a status, others have one."""
    status = reply if hasattr(reply, "code") else reply.status
    if status.code != "SUCCESS":
        sys.exit(f"{status.code}: {status.message}")
    return reply


def values(ad):
    """An ad as a dictionary of texts; the type of each stands in `item.type`."""
    return {item.name: item.value for item in ad.item}


if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
url = sys.argv[1]
schedd = Client(f"{url}/condorSchedd.wsdl").create_service("{urn:condor}condorSchedd", url)
collector = Client(f"{url}/condorCollector.wsdl").create_service("{urn:condor}condorCollector", url)

# The Collector's queries have no status: an empty list means that there is nothing, or a mistake in the
# constraint.
slots = collector.queryStartdAds('OpSys == "LINUX" && Memory > 512')
for slot in map(values, slots or []):
    print(f"{slot['Name']}: {slot['State']}, {slot['Memory']} MB")

transaction = checked(schedd.beginTransaction(60)).transaction
cluster = checked(schedd.newCluster(transaction)).integer
proc = checked(schedd.newJob(transaction, cluster)).integer
owner = getpass.getuser()
ad = checked(schedd.createJobTemplate(cluster, proc, owner, "VANILLA", "/bin/sleep", "3600", None)).classAd
checked(schedd.submit(transaction, cluster, proc, ad))
checked(schedd.commitTransaction(transaction))

# Outside of a transaction each of these counts at once. Flags with a hyphen are passed by name in a
# dictionary.
no_mail = {"email-user": False, "email-admin": False}
checked(schedd.holdJob(None, cluster, proc, "to look at it", **no_mail, **{"system-hold": False}))
held = checked(schedd.getJobAds(None, f'Owner == "{owner}" && JobStatus == 5')).classAdArray
for job in map(values, held.item):
    print(f"{job['ClusterId']}.{job['ProcId']} is held: {job['HoldReason']}")

checked(schedd.releaseJob(None, cluster, proc, "looked at", **no_mail))
checked(schedd.removeJob(None, cluster, proc, "not needed", **{"force-removal": True}))
print(f"{cluster}.{proc} is removed")
