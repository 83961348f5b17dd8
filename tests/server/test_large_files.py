"""Files above 2 GiB: offsets have 64 bits on the server's side, though the schema's type is int."""

from __future__ import annotations

from pathlib import Path

import zeep

from tests.server_process import running_server

FAR = 3 << 30
"""Three GiB; the file stays sparse on disk."""


def test_a_file_is_written_and_read_beyond_two_gibibytes(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        schedd = zeep.Client(f"{server.url}/condorSchedd.wsdl").service
        transaction = schedd.beginTransaction(60).transaction
        cluster = schedd.newCluster(transaction).integer
        proc = schedd.newJob(transaction, cluster).integer
        size = FAR + 3
        assert schedd.declareFile(transaction, cluster, proc, "big", size, "NOHASH", None).code == "SUCCESS"
        assert schedd.sendFile(transaction, cluster, proc, "big", FAR, b"end").code == "SUCCESS"
        assert schedd.listSpool(transaction, cluster, proc).info.item[0].size == size
        assert schedd.getFile(transaction, cluster, proc, "big", FAR - 1, 100).data == b"\0end"
