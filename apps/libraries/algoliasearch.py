"""Algolia: a book is found, and looked for in an index that is not there.

Clients before 4.0 know no way but TLS to Algolia's own hosts: they are given a transport that
leaves TLS out, by the parameter that each has for one.
"""

from __future__ import absolute_import

DISTRIBUTION = "algoliasearch"
INTEGRATION = "algoliasearch"
SPAN = {"name": "algoliasearch.search", "component": "algoliasearch", "type": "http"}
ERROR_SPAN = {"name": "algoliasearch.search", "component": "algoliasearch"}
SERVICE = "algolia"
WHO = ("bookshop", "a key")


def prepare(place):
    import algoliasearch  # noqa: F401

    try:
        from algoliasearch.version import VERSION
    except ImportError:  # since 4.0
        return search_4
    return search_1 if VERSION.startswith("1.") else search_2


def plain(url):
    return url.replace("https://", "http://", 1)


def search_1(place, index):
    from algoliasearch import algoliasearch, transport
    from requests.adapters import HTTPAdapter

    class Plain(HTTPAdapter):
        def send(self, request, **how):
            request.url = plain(request.url)
            return HTTPAdapter.send(self, request, **how)

    way = transport.Transport()
    way.session.mount("https://", Plain())
    host = "%s:%d" % (place.host, place.port)
    client = algoliasearch.Client(*WHO, hosts=[host], _transport=way)
    return client.init_index(index).search("Emma")["hits"][0]["objectID"]


def search_2(place, index):
    from algoliasearch import configs, search_client
    from algoliasearch.http import hosts, requester, transporter

    class Plain(requester.Requester):
        def send(self, request):
            request.url = plain(request.url)
            return requester.Requester.send(self, request)

    config = configs.SearchConfig(*WHO)
    config.hosts = hosts.HostsCollection([hosts.Host("%s:%d" % (place.host, place.port))])
    client = search_client.SearchClient(transporter.Transporter(Plain(), config), config)
    return client.init_index(index).search("Emma")["hits"][0]["objectID"]


def search_4(place, index):
    import asyncio

    from algoliasearch.http import hosts
    from algoliasearch.search import client, config

    where = config.SearchConfig(*WHO)
    host = hosts.Host(place.host, scheme="http", port=place.port)
    where.hosts = hosts.HostsCollection([host])
    query = {"query": "Emma"}
    # The first releases are for asyncio only.
    if hasattr(client, "SearchClientSync"):
        found = client.SearchClientSync.create_with_config(where).search_single_index(index, query)
        return found.hits[0].object_id
    loop = asyncio.new_event_loop()
    one = client.SearchClient.create_with_config(where)
    try:
        found = loop.run_until_complete(one.search_single_index(index, query))
    finally:
        loop.run_until_complete(one.close())
        loop.close()
    return found.hits[0].object_id


def call(place):
    return place.ready(place, "books")


def fail(place):
    return place.ready(place, "warehouse")
