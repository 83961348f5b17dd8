"""Ask a pool, over its broker, for a job: request-response. Usage: ask_for_job.py BROKER CLUSTER.PROC [ad]

Prints the job's events so far, as CloudEvents, or its ad. Needs nothing but aio-pika (pip install aio-pika).
Where callers are asked who they are, the broker vouches for the account of the URL.
"""

import asyncio
import json
import sys
import uuid
from urllib.parse import urlsplit

import aio_pika

PATIENCE = 30


async def ask(broker: str, job: str, get: str) -> tuple[str | None, bytes]:
    """The answer's type (`events`, `ad` or `error`) and its body."""
    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(exclusive=True)
        question = aio_pika.Message(
            json.dumps({"job": job, "get": get}).encode(),
            reply_to=replies.name,
            correlation_id=str(uuid.uuid4()),
            user_id=urlsplit(broker).username,
        )
        await channel.declare_queue("condor.requests", durable=True)
        await channel.default_exchange.publish(question, "condor.requests")
        async with replies.iterator(no_ack=True, timeout=PATIENCE) as answers:
            async for answer in answers:
                if answer.correlation_id == question.correlation_id:
                    return answer.type, answer.body
    raise AssertionError("the replies ended")


def main() -> int:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    broker, job, *get = sys.argv[1:]
    try:
        kind, body = asyncio.run(ask(broker, job, (get or ["events"])[0]))
    except TimeoutError:
        print("Nobody answers", file=sys.stderr)
        return 1
    (sys.stderr if kind == "error" else sys.stdout).write(body.decode() + "\n")
    return int(kind == "error")


if __name__ == "__main__":
    sys.exit(main())
