"""Azure Cosmos DB: an item is kept and read, also by asyncio; another does not exist."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "azure-cosmos"
INTEGRATION = "azure_cosmos"
SPAN = [
    {
        "name": "cosmosdb.query",
        "component": "azure_cosmos",
        "resource": "Upsert /dbs/bookshop/colls/books*",
        "type": "cosmosdb",
        "tags": {"db.name": "bookshop", "cosmosdb.container": "books"},
    },
    {"name": "cosmosdb.query", "component": "azure_cosmos", "resource": "Read */docs/*"},
]
ERROR_SPAN = {"name": "cosmosdb.query", "component": "azure_cosmos", "resource": "Read */docs/*"}
SERVICE = "cosmos"
PYTHON = ">=3.8"
# The client for asyncio requires it.
ALSO = [["", "aiohttp"]]
KEY = "bm9uZQ=="


def books(client):
    return client.get_database_client("bookshop").get_container_client("books")


def prepare(context):
    from azure.cosmos import CosmosClient

    return books(CosmosClient(context.url, KEY))


async def read_async(context):
    from azure.cosmos.aio import CosmosClient

    async with CosmosClient(context.url, KEY) as client:
        item = await books(client).read_item(context.shop, partition_key=context.shop)
    return item["title"]


def call(context):
    context.ready.upsert_item({"id": context.shop, "title": "Emma"})
    title = context.ready.read_item(context.shop, partition_key=context.shop)["title"]
    return ", ".join([title, loops.run(read_async(context))])


def fail(context):
    context.ready.read_item("lost", partition_key="lost")
