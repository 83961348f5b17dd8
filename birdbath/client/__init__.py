"""A client for Birdbath, and for every server with the SOAP interface that Condor had from 2005 to 2018.

    from birdbath.client import Schedd

    schedd = Schedd("http://127.0.0.1:8080")
    with schedd.transaction() as txn:
        job = txn.new_cluster().new_job()
        ad = job.template("/bin/cat", "payload.bin", owner="alice")
        ad["Out"] = "job.out"
        job.upload("payload.bin")
        job.submit(ad)
    print(schedd.job_ad(*job.id)["JobStatus"])

It stands on zeep, and knows nothing of the server but its WSDL. Errors are in `birdbath.client.errors`.
"""

from birdbath.client.adstream import AdStream
from birdbath.client.collector import AdType, Collector
from birdbath.client.errors import (
    BadReply,
    BirdbathError,
    ConnectionFailed,
    InvalidValue,
    OperationFailed,
    ServerFault,
    StatusCode,
    TransferFailed,
)
from birdbath.client.federation import Federation, PoolSuitability, Recommendation
from birdbath.client.queries import Queries
from birdbath.client.schedd import FileInfo, Schedd
from birdbath.client.transaction import Cluster, Job, JobId, Lease, Transaction
from birdbath.client.values import Ad
from birdbath.values import AdValue, Expression, Universe, literal

__all__ = [
    "Ad",
    "AdStream",
    "AdType",
    "AdValue",
    "BadReply",
    "BirdbathError",
    "Cluster",
    "Collector",
    "ConnectionFailed",
    "Expression",
    "Federation",
    "FileInfo",
    "InvalidValue",
    "Job",
    "JobId",
    "Lease",
    "OperationFailed",
    "PoolSuitability",
    "Queries",
    "Recommendation",
    "Schedd",
    "ServerFault",
    "StatusCode",
    "Transaction",
    "TransferFailed",
    "Universe",
    "literal",
]
