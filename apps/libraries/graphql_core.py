"""graphql-core: a query of a schema with one field."""

from __future__ import absolute_import

DISTRIBUTION = "graphql-core"
INTEGRATION = "graphql"
SPAN = {"name": "graphql.*", "component": "graphql"}
SERVICE = ""
# It uses collections.Iterable.
PYTHON = [["<=2.0", "<3.10"]]
QUERY = "{ title }"


def schema():
    import graphql

    field = {"resolver": resolve} if graphql.__version__.startswith("2.") else {"resolve": resolve}
    title = graphql.GraphQLField(graphql.GraphQLString, **field)
    return graphql.GraphQLSchema(graphql.GraphQLObjectType("Query", lambda: {"title": title}))


def resolve(*_):
    return "Emma"


def prepare(context):
    import graphql  # noqa: F401


def call(context):
    import graphql

    run = getattr(graphql, "graphql_sync", graphql.graphql)
    return run(schema(), QUERY).data["title"]
