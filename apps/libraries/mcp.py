"""MCP: a client calls a tool of a server of this process, and one that fails."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "mcp"
INTEGRATION = "mcp"
SPAN = [
    {"name": "mcp.request", "component": "mcp", "resource": "client_tool_call"},
    {"name": "mcp.*", "component": "mcp", "resource": "server_tool_call"},
]
ERROR_SPAN = {"name": "mcp.*", "component": "mcp", "resource": "client_tool_call"}
SERVICE = ""
PYTHON = ">=3.10"
# It imports a private name that Pydantic removed.
ALSO = [["<1.24", "pydantic<2.12"]]


def title(slug: str) -> str:
    if slug == "lost":
        raise LookupError("no such book")
    return slug.title()


def prepare(context):
    try:
        from mcp.server.mcpserver import MCPServer as Server
    except ImportError:  # before 2.0
        from mcp.server.fastmcp import FastMCP as Server

    server = Server("bookshop")
    server.tool()(title)
    return server


def connect(server):
    """Return the context manager of a client that is connected to the server."""
    try:
        from mcp.shared.memory import create_connected_server_and_client_session
    except ImportError:  # from 2.0
        from mcp import Client

        return Client(server)
    return create_connected_server_and_client_session(server._mcp_server)


async def use(server, slug):
    async with connect(server) as client:
        tools = await client.list_tools()
        result = await client.call_tool(tools.tools[0].name, {"slug": slug})
    if getattr(result, "isError", False) or getattr(result, "is_error", False):
        raise RuntimeError(result.content[0].text)
    return result.content[0].text


def call(context):
    return loops.run(use(context.ready, "emma"))


def fail(context):
    return loops.run(use(context.ready, "lost"))
