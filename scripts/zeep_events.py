"""Follow the events of a job until it has ended, without polling. Usage: zeep_events.py URL CLUSTER.PROC

Needs nothing but zeep (pip install zeep). The server keeps the place, so that nothing is missed when this
program or the server is started again in between.
"""

import sys

from zeep import Client

ENDED = ("terminated", "aborted")


def checked(reply):
    """The reply, if it says SUCCESS. Some replies are a status, others have one."""
    status = reply if hasattr(reply, "code") else reply.status
    if status.code != "SUCCESS":
        sys.exit(f"{status.code}: {status.message}")
    return reply


if len(sys.argv) != 3:
    sys.exit(__doc__)
url = sys.argv[1]
cluster, proc = sys.argv[2].split(".")
events = Client(f"{url}/birdbathEvents.wsdl").create_service("{urn:birdbath:events}birdbathEvents", url)

# job.<event>.<owner>.<cluster>.<proc>; * stands for any word. From event 0 on: the job may be old.
wanted = {"topics": {"item": [f"job.*.*.{cluster}.{proc}"]}}
subscription = checked(events.subscribe(wanted, 0, 3600)).subscription.id

after, name = -1, ""  # from where the subscription is
while name not in ENDED:
    page = checked(events.getEvents(after, 100, 30, None, subscription))  # waits up to 30 seconds
    for event in page.events.item if page.events else []:
        attributes = {item.name: item.value for item in event.ad.item}
        name = event.name
        print(f"{event.time:%H:%M:%S} {name} {attributes.get('HoldReason', '')}".rstrip(), flush=True)
    after = page.last  # acknowledges them with the next call

checked(events.unsubscribe(subscription))
