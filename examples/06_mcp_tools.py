"""Episodes over the tools of an MCP server, each with a server process of its own.

Needs `pip install "textgym[mcp]"`. The server here is a few lines of Python; put your own command in its place,
or the url of a server.
"""

import json
import sys

import textgym
from textgym.envs import ToolEnv
from textgym.tools import MCPToolProvider

ROWS = [
    {"prompt": f"Put {n} and {n + 1} on the pile. What is on top?", "answer": f"{n + 1}"} for n in range(4)
]


SERVER = """
from mcp.server.mcpserver import MCPServer

server, pile = MCPServer("pile"), []

@server.tool()
def put(number: int) -> str:
    'Put a number on the pile and say how many lie there.'
    pile.append(number)
    return f"{len(pile)} on the pile"

@server.tool()
def top() -> int:
    'The number on top of the pile.'
    return pile[-1]

server.run("stdio")
"""


def policy(request: textgym.CompletionRequest) -> str:
    """What a model might write; it sees the tools in the system prompt."""
    words = request.messages[1]["content"].split()
    calls = [("put", {"number": int(words[1])}), ("put", {"number": int(words[3])}), ("top", {})]
    if request.turn < len(calls):
        name, arguments = calls[request.turn]
        return "<tool>" + json.dumps({"name": name, "args": arguments}) + "</tool>"
    return request.messages[-1]["content"].replace("result>", "answer>")


def main() -> None:
    provider = MCPToolProvider([sys.executable, "-c", SERVER])
    run = textgym.rollout(ToolEnv(ROWS, [provider]), textgym.ScriptedPolicy(policy))
    for message in run[0].messages[1:]:
        print(f"{message['role']}: {message['content']}")
    print(run.summary())
    print("rewards", [trajectory.reward for trajectory in run])


if __name__ == "__main__":
    main()
