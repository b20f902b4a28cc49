"""ASY109, ASY209: clients of cloud services and message brokers."""

from asynclint.rules.blocking.pair import blocking_rules

RULES = blocking_rules(
    category="service-client",
    number=9,
    name="blocking-service-client",
    what="Blocking call of a service",
    why="""
The client of a cloud service or a message broker looks like a local object, but its methods send requests and wait for
the answers with the thread; many also retry, with sleeps in between. Uploading a file can take minutes, in which the
event loop does nothing else. Use the client's async twin where there is one (`aioboto3`, `aio-pika`), or a thread.
""",
    fix_caveat="A client that is not thread-safe must not be used by two tasks at the same time.",
    bad=(
        """
import boto3


async def back_up(file):
    boto3.client("s3").upload_file(file, "backups", file)
""",
        """
import pika


async def publish(event):
    connection = pika.BlockingConnection()
    connection.close()
""",
    ),
    good=(
        """
import asyncio

import boto3


async def back_up(file):
    client = await asyncio.to_thread(boto3.client, "s3")
    await asyncio.to_thread(client.upload_file, file, "backups", file)
""",
        """
import aio_pika


async def publish(event):
    async with await aio_pika.connect_robust() as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(event), routing_key="events")
""",
    ),
    bad_through_helpers=(
        """
import boto3


def upload(file):
    client = boto3.client("s3")
    client.upload_file(file, "backups", file)


async def back_up(files):
    for file in files:
        upload(file)
""",
    ),
    good_through_helpers=(
        """
import asyncio

import boto3


def upload(file):
    client = boto3.client("s3")
    client.upload_file(file, "backups", file)


async def back_up(files):
    for file in files:
        await asyncio.to_thread(upload, file)
""",
    ),
)
