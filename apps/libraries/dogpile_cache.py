"""dogpile.cache: values are created, alone and several at once; one creator raises."""

from __future__ import absolute_import

DISTRIBUTION = "dogpile.cache"
INTEGRATION = "dogpile_cache"
SPAN = [
    {
        "name": "dogpile.cache",
        "component": "dogpile_cache",
        "resource": "get_or_create",
        "type": "cache",
        "tags": {"region": "shelf", "backend": "MemoryBackend", "hit": "False"},
    },
    {"name": "dogpile.cache", "component": "dogpile_cache", "resource": "get_or_create_multi"},
]
ERROR_SPAN = {"name": "dogpile.cache", "component": "dogpile_cache", "resource": "get_or_create"}
SERVICE = ""


def prepare(context):
    from dogpile.cache import make_region

    return make_region(name="shelf").configure("dogpile.cache.memory")


def call(context):
    region = context.ready
    titles = [region.get_or_create(context.shop, lambda: "Emma")]
    titles.append(region.get_or_create(context.shop, lambda: "not called"))
    keys = [context.shop, context.shop + "-2"]
    titles += region.get_or_create_multi(keys, lambda *missing: ["Kokoro" for _ in missing])
    return ", ".join(titles)


def fail(context):
    def search():
        raise LookupError("no such book")

    context.ready.get_or_create(context.shop, search)
