"""graphql-core: a query of a schema with one field."""

from __future__ import absolute_import

DISTRIBUTION = "graphql-core"
INTEGRATION = "graphql"
SPAN = {"name": "graphql.*", "component": "graphql"}
SERVICE = ""
# It uses collections.Iterable.
PYTHON = [["<=2.0", "<3.10"]]
QUERY = "{ title }"


def schema(resolver):
    import graphql

    name = "resolver" if graphql.__version__.startswith("2.") else "resolve"
    field = {name: resolver}
    title = graphql.GraphQLField(graphql.GraphQLString, **field)
    return graphql.GraphQLSchema(graphql.GraphQLObjectType("Query", lambda: {"title": title}))


def resolve(*_):
    return "Emma"


def resolve_nothing(*_):
    raise LookupError("no such book")


def prepare(context):
    import graphql  # noqa: F401


def execute(resolver):
    import graphql

    run = getattr(graphql, "graphql_sync", graphql.graphql)
    return run(schema(resolver), QUERY)


def call(context):
    return execute(resolve).data["title"]


def fail(context):
    raise execute(resolve_nothing).errors[0]
