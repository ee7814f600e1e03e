"""Algolia: a search with a result, and a search in a missing index.

Clients before 4.0 support only TLS to Algolia's hosts, so they get a transport without TLS by the
parameter that each of them has.
"""

from __future__ import absolute_import

DISTRIBUTION = "algoliasearch"
INTEGRATION = "algoliasearch"
SPAN = {"name": "algoliasearch.search", "component": "algoliasearch", "type": "http"}
ERROR_SPAN = {"name": "algoliasearch.search", "component": "algoliasearch"}
STATEMENT = {}
SERVICE = "algolia"
CREDENTIALS = ("bookshop", "a key")


def prepare(context):
    import algoliasearch  # noqa: F401

    try:
        from algoliasearch.version import VERSION
    except ImportError:  # since 4.0
        return search_4
    return search_1 if VERSION.startswith("1.") else search_2


def without_tls(url):
    return url.replace("https://", "http://", 1)


def search_1(context, index):
    from algoliasearch import algoliasearch, transport
    from requests.adapters import HTTPAdapter

    class PlainHTTPAdapter(HTTPAdapter):
        def send(self, request, **options):
            request.url = without_tls(request.url)
            return HTTPAdapter.send(self, request, **options)

    plain_transport = transport.Transport()
    plain_transport.session.mount("https://", PlainHTTPAdapter())
    host = "%s:%d" % (context.host, context.port)
    client = algoliasearch.Client(*CREDENTIALS, hosts=[host], _transport=plain_transport)
    return client.init_index(index).search("Emma")["hits"][0]["objectID"]


def search_2(context, index):
    from algoliasearch import configs, search_client
    from algoliasearch.http import hosts, requester, transporter

    class PlainRequester(requester.Requester):
        def send(self, request):
            request.url = without_tls(request.url)
            return requester.Requester.send(self, request)

    config = configs.SearchConfig(*CREDENTIALS)
    config.hosts = hosts.HostsCollection([hosts.Host("%s:%d" % (context.host, context.port))])
    client = search_client.SearchClient(transporter.Transporter(PlainRequester(), config), config)
    return client.init_index(index).search("Emma")["hits"][0]["objectID"]


def search_4(context, index):
    import asyncio

    from algoliasearch.http import hosts
    from algoliasearch.search import client, config

    settings = config.SearchConfig(*CREDENTIALS)
    host = hosts.Host(context.host, scheme="http", port=context.port)
    settings.hosts = hosts.HostsCollection([host])
    query = {"query": "Emma"}
    # The first releases support only asyncio.
    if hasattr(client, "SearchClientSync"):
        sync_client = client.SearchClientSync.create_with_config(settings)
        result = sync_client.search_single_index(index, query)
        return result.hits[0].object_id
    loop = asyncio.new_event_loop()
    async_client = client.SearchClient.create_with_config(settings)
    try:
        result = loop.run_until_complete(async_client.search_single_index(index, query))
    finally:
        loop.run_until_complete(async_client.close())
        loop.close()
    return result.hits[0].object_id


def call(context):
    return context.ready(context, "books")


def fail(context):
    return context.ready(context, "warehouse")
