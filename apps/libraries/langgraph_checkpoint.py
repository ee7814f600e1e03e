"""LangGraph's checkpoints: a graph that keeps its state in memory, and goes on from there."""

from __future__ import absolute_import

DISTRIBUTION = "langgraph-checkpoint"
INTEGRATION = "langgraph"
SPAN = [
    {"name": "langgraph.request", "component": "langgraph", "resource": "*CompiledStateGraph*"},
    {"name": "langgraph.request", "resource": "*RunnableSeq*"},
]
ERROR_SPAN = {"name": "langgraph.request", "resource": "*CompiledStateGraph*"}
SERVICE = ""
PYTHON = ">=3.9"
ALSO = [["", "langgraph"]]


def search(state):
    if state["title"] == "lost":
        raise LookupError("no such book")
    return {"title": state["title"] + " in paper"}


def prepare(context):
    from langgraph.checkpoint.memory import MemorySaver
    from langgraph.graph import END, StateGraph
    from typing_extensions import TypedDict

    graph = StateGraph(TypedDict("State", {"title": str}))
    graph.add_node("search", search)
    graph.set_entry_point("search")
    graph.add_edge("search", END)
    return graph.compile(checkpointer=MemorySaver())


def run(context, title):
    thread = {"configurable": {"thread_id": context.shop}}
    context.ready.invoke({"title": title}, thread)
    return context.ready.get_state(thread).values["title"]


def call(context):
    return run(context, run(context, "Emma"))


def fail(context):
    run(context, "lost")
