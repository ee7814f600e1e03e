"""Graphene: a query of a schema with one field, also by asyncio, and one whose resolver raises.

The tracer has no integration of its own for it, but traces graphql-core, which executes the query.
"""

from __future__ import absolute_import

import loops

DISTRIBUTION = "graphene"
INTEGRATION = "graphql"
SPAN = [
    {"name": "graphql.request", "component": "graphql", "resource": "{ title }"},
    {"name": "graphql.execute", "component": "graphql"},
]
ERROR_SPAN = {"name": "graphql.execute", "component": "graphql"}
SERVICE = ""


def prepare(context):
    import graphene

    class Query(graphene.ObjectType):
        title = graphene.String()
        lost = graphene.String()

        def resolve_title(root, info):
            return "Emma"

        def resolve_lost(root, info):
            raise LookupError("no such book")

    return graphene.Schema(query=Query)


def call(context):
    titles = [context.ready.execute("{ title }").data["title"]]
    if hasattr(context.ready, "execute_async"):  # from 3.0
        titles.append(loops.run(context.ready.execute_async("{ title }")).data["title"])
    return ", ".join(titles)


def fail(context):
    raise context.ready.execute("{ lost }").errors[0]
