"""LangGraph: a graph of two nodes, run at once, as a stream and by asyncio; one node raises."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "langgraph"
INTEGRATION = "langgraph"
SPAN = [
    {"name": "langgraph.request", "component": "langgraph", "resource": "*CompiledStateGraph*"},
    {"name": "langgraph.request", "resource": "*RunnableSeq*"},
]
ERROR_SPAN = {"name": "langgraph.request", "resource": "*CompiledStateGraph*"}
SERVICE = ""
PYTHON = ">=3.9"


def search(state):
    if state["shop"].startswith("no-"):
        raise LookupError("no such book")
    return {"title": "Emma"}


def wrap(state):
    return {"title": state["title"] + " in paper"}


def prepare(context):
    from langgraph.graph import END, StateGraph
    from typing_extensions import TypedDict

    State = TypedDict("State", {"shop": str, "title": str})
    graph = StateGraph(State)
    graph.add_node("search", search)
    graph.add_node("wrap", wrap)
    graph.set_entry_point("search")
    graph.add_edge("search", "wrap")
    graph.add_edge("wrap", END)
    return graph.compile()


def call(context):
    ask = {"shop": context.shop, "title": ""}
    titles = [context.ready.invoke(ask), loops.run(context.ready.ainvoke(ask))]
    steps = [name for step in context.ready.stream(ask) for name in step]
    return ", ".join([answer["title"] for answer in titles] + steps)


def fail(context):
    context.ready.invoke({"shop": "no-" + context.shop, "title": ""})
