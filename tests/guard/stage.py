"""The accounts of a `World` at work: transactions, jobs, and what the answers to their calls come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.guard.world import NOBODY, Answer, Credential, World

ROLES = ("nobody", "owner", "other", "root", "boss")
HTTP_WAYS = 5
WAYS = ("basic", "certificate", "id token", "access token", "sci token", "username text", "username digest")
"""How many of the ways of proving an account come with HTTP or TLS."""


def item(name: str, kind: str, value: str) -> str:
    return f"<item><name>{name}</name><type>{kind}-ATTR</type><value>{value}</value></item>"


def job_ad(owner: str, cluster: int) -> str:
    return (
        item("Owner", "STRING", owner)
        + item("Cmd", "STRING", "/bin/sleep")
        + item("Arguments", "STRING", "100000")
        + item("JobUniverse", "INTEGER", "5")
        + item("Requirements", "EXPRESSION", "FALSE")
        + item("LeaveJobInQueue", "EXPRESSION", "TRUE")
        + item("ClusterId", "INTEGER", str(cluster))
    )


@dataclass
class Staged:
    """A transaction of somebody with a job and a declared file in it."""

    xml: str
    cluster: int


class Stage:
    """Acts as one account in one way of proving it, round robin, so that each way has its share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._ways: tuple[Callable[[str], Credential], ...] = (
            world.basic,
            world.certificate,
            world.id_token,
            world.access_token,
            world.sci_token,
            world.username_text,
            world.username_digest,
        )
        self._made: dict[tuple[str, int], Credential] = {}
        self._turn = 0

    def by(self, way: int) -> Stage:
        """The same accounts, acting in one way only."""
        one = Stage(self.world)
        one._ways = self._ways[way : way + 1]
        return one

    def credential(self, account: str) -> Credential:
        if account == "nobody":
            return NOBODY
        self._turn += 1
        way = self._turn % len(self._ways)
        if (account, way) not in self._made:
            self._made[account, way] = self._ways[way](account)
        return self._made[account, way]

    def http_credentials(self, account: str) -> list[Credential]:
        """One in each way that does without a SOAP header."""
        if account == "nobody":
            return [NOBODY]
        return [way(account) for way in self._ways[:HTTP_WAYS]]

    def http_credential(self, account: str) -> Credential:
        return self.http_credentials(account)[0]

    def call(self, account: str, name: str, children: str = "") -> Answer:
        return self.world.call(self.credential(account), name, children)

    def begin(self, account: str) -> str:
        number = self.call(account, "beginTransaction", "<duration>600</duration>").number("id")
        return f"<transaction><id>{number}</id><duration>600</duration></transaction>"

    def staged(self, account: str) -> Staged:
        xml = self.begin(account)
        cluster = self.call(account, "newCluster", xml).number("integer")
        assert self.call(account, "newJob", f"{xml}<clusterId>{cluster}</clusterId>").verdict == "SUCCESS"
        job = f"{xml}<clusterId>{cluster}</clusterId><jobId>0</jobId>"
        declared = self.call(account, "declareFile", f"{job}<name>in</name><size>2</size>")
        assert declared.verdict == "SUCCESS"
        return Staged(xml, cluster)

    def committed(self, held: bool) -> int:
        """The cluster of a job of the owner's, with a file."""
        staged = self.staged("owner")
        job = f"{staged.xml}<clusterId>{staged.cluster}</clusterId><jobId>0</jobId>"
        ad = job_ad("owner", staged.cluster)
        assert self.call("owner", "submit", f"{job}<jobAd>{ad}</jobAd>").verdict == "SUCCESS"
        assert self.call("owner", "commitTransaction", staged.xml).verdict == "SUCCESS"
        if held:
            job = f"<clusterId>{staged.cluster}</clusterId><jobId>0</jobId>"
            assert self.call("owner", "holdJob", job).verdict == "SUCCESS"
        return staged.cluster


def letter(answer: Answer) -> str:
    if answer.verdict == "401":
        assert "www-authenticate" in answer.headers
        assert "SOAP-ENV:Fault" in answer.text
        return "D"
    if answer.verdict in ("SUCCESS", "OK"):
        return "."
    if answer.verdict == "INVALIDTRANSACTION":
        return "I"
    letters = {"Permission denied": "P", "Not job owner": "J"}
    if answer.verdict == "FAULT":
        assert answer.message == "Permission denied"
        return "F"
    return letters.get(answer.message, f"{answer.verdict}: {answer.message}")
