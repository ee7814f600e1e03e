"""Claude Agent SDK: a query, and a conversation of a client; a program that fails.

The SDK starts the program of the agent and speaks with it by lines of JSON. That program is one of
ours here, whose only answer is a title, as the real one needs an account.
"""

from __future__ import absolute_import

import loops

DISTRIBUTION = "claude-agent-sdk"
INTEGRATION = "claude_agent_sdk"
SPAN = [
    {"name": "claude_agent_sdk.query", "component": "claude_agent_sdk"},
    {"name": "claude_agent_sdk.ClaudeSDKClient.query", "component": "claude_agent_sdk"},
]
ERROR_SPAN = {"name": "claude_agent_sdk.query", "component": "claude_agent_sdk"}
SERVICE = ""
PYTHON = ">=3.10"
PROGRAM = """#!%s -IS
import json, sys


def say(**message):
    print(json.dumps(message), flush=True)


def answer():
    text = {"type": "text", "text": "Emma"}
    say(type="system", subtype="init", session_id="1")
    say(
        type="assistant",
        session_id="1",
        parent_tool_use_id=None,
        message={"role": "assistant", "model": "claude", "content": [text]},
    )
    say(
        type="result",
        subtype="success",
        session_id="1",
        duration_ms=1,
        duration_api_ms=1,
        is_error=False,
        num_turns=1,
        result="Emma",
        total_cost_usd=0,
        usage={"input_tokens": 2, "output_tokens": 1},
    )


if "-v" in sys.argv:
    print("2.9.0 (Claude Code)")
elif "lost" in sys.argv:
    sys.exit(3)
elif "--print" in sys.argv:
    answer()
else:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "control_request":
            response = {"subtype": "success", "request_id": message["request_id"], "response": {}}
            say(type="control_response", response=response)
        elif message["type"] == "user":
            answer()
"""


def prepare(context):
    """Return the path of the program."""
    import os
    import sys
    import tempfile

    import claude_agent_sdk  # noqa: F401

    path = os.path.join(tempfile.mkdtemp(prefix="bookshop-"), "claude")
    with open(path, "w") as file:
        file.write(PROGRAM % sys.executable)
    os.chmod(path, 0o755)
    # Where old releases look for it.
    os.environ["PATH"] = os.path.dirname(path) + os.pathsep + os.environ.get("PATH", "")
    return path


def text(message):
    return "".join(getattr(part, "text", "") for part in getattr(message, "content", None) or [])


def options(path, **values):
    import claude_agent_sdk

    if "cli_path" in claude_agent_sdk.ClaudeAgentOptions.__dataclass_fields__:
        values["cli_path"] = path
    return claude_agent_sdk.ClaudeAgentOptions(**values)


async def query(path, model="any"):
    import claude_agent_sdk

    messages = claude_agent_sdk.query(prompt="Which book?", options=options(path, model=model))
    return "".join([text(message) async for message in messages])


async def converse(path):
    import claude_agent_sdk

    async with claude_agent_sdk.ClaudeSDKClient(options(path)) as client:
        await client.query("Which book?")
        return "".join([text(message) async for message in client.receive_response()])


def call(context):
    return ", ".join([loops.run(query(context.ready)), loops.run(converse(context.ready))])


def fail(context):
    loops.run(query(context.ready, "lost"))
