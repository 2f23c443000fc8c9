"""A real MCP server, made with the official package and run as a process of its own.

    python mcp_server.py                 over stdin and stdout
    python mcp_server.py --http          on a free loopback port, which is the first line of stdout

Further words choose what it does badly: `deaf` never answers, `stubborn` ignores the end of its input
and SIGTERM, `noisy` writes much to stderr, `nested` leaves a child of its own behind, `twice` lists two pages,
`dead` ends at once, `endless` lists tools without end, `foreign` writes lines that are no protocol.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time

WORDS = set(sys.argv[1:])
COUNTERS: dict[str, int] = {}

if "dead" in WORDS:
    sys.exit("mcp_server: MISSING_KEY is not set")
if "nested" in WORDS:
    subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(600)", "nested-of", str(os.getpid())]
    )
if "noisy" in WORDS:
    sys.stderr.write("noise " * 100_000 + "\n")
if "deaf" in WORDS:
    if "stubborn" in WORDS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

import anyio  # noqa: E402
from mcp.server.mcpserver import Context, Image, MCPServer  # noqa: E402
from mcp.types import AudioContent, CallToolResult, EmbeddedResource, ResourceLink, TextContent  # noqa: E402
from mcp.types import TextResourceContents  # noqa: E402
from pydantic import BaseModel  # noqa: E402

server = MCPServer("tests", log_level="WARNING")


class Point(BaseModel):
    """A structured result."""

    x: int
    y: int


@server.tool(structured_output=False)
def add(a: int, b: int = 1) -> str:
    """Add two whole numbers."""
    return str(a + b)


@server.tool()
async def slow(seconds: float) -> str:
    """Answer late."""
    await anyio.sleep(seconds)
    return "late"


@server.tool()
def fail(reason: str) -> str:
    """Fail."""
    raise ValueError(reason)


@server.tool(structured_output=False)
def flood(characters: int) -> str:
    """Answer with very much."""
    return "x" * characters


@server.tool(structured_output=False)
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool()
def point(x: int, y: int) -> Point:
    """A structured result."""
    return Point(x=x, y=y)


@server.tool(structured_output=False)
def blocks() -> CallToolResult:
    """Every kind of content block."""
    data = base64.b64encode(b"12345").decode()
    return CallToolResult(
        content=[
            TextContent(type="text", text="first"),
            Image(data=b"123", format="png").to_image_content(),
            AudioContent(type="audio", data=data, mime_type="audio/wav"),
            ResourceLink(type="resource_link", name="page", uri="file:///page.html"),
            EmbeddedResource(
                type="resource", resource=TextResourceContents(uri="file:///note.txt", text="inside")
            ),
            TextContent(type="text", text="last"),
        ]
    )


@server.tool(structured_output=False)
def only_structure() -> CallToolResult:
    """Structured content and no text at all."""
    return CallToolResult(content=[], structured_content={"name": "Zoë", "n": 1})


@server.tool(structured_output=False)
def count(context: Context) -> str:
    """Count the calls of this session."""
    session = (context.headers or {}).get("mcp-session-id", "")
    COUNTERS[session] = COUNTERS.get(session, 0) + 1
    return str(COUNTERS[session])


@server.tool(structured_output=False)
def crash() -> str:
    """End the server in the middle of this call."""
    sys.stderr.write("mcp_server: crashing\n")
    sys.stderr.flush()
    os._exit(7)


@server.tool(structured_output=False)
def pid() -> str:
    """The process id of the server."""
    return str(os.getpid())


@server.tool(structured_output=False)
def variables() -> str:
    """The names of the environment variables."""
    return " ".join(sorted(os.environ))


@server.tool(structured_output=False)
def header(name: str, context: Context) -> str:
    """A header of the request."""
    return (context.headers or {}).get(name, "none")


@server.tool(structured_output=False)
async def change(context: Context) -> str:
    """Take away `echo`, bring `fresh`, and say so."""
    server.remove_tool("echo")
    server.add_tool(lambda: "fresh", name="fresh", description="New.", structured_output=False)
    await context.session.send_tool_list_changed()
    return "changed"


@server.tool(structured_output=False)
def noise(kind: str) -> str:
    """Write what is no protocol to standard output."""
    sys.__stdout__.write({"text": "hello\n", "binary": "\udcff\n", "endless": "y" * (40 << 20)}[kind])
    sys.__stdout__.flush()
    return "noisy"


def serve_http() -> None:
    import socket

    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    app = server.streamable_http_app(stateless_http="stateless" in WORDS)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


if "stubborn" in WORDS:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "--http" in WORDS:
    serve_http()
else:
    server.run("stdio")
    if "stubborn" in WORDS:
        time.sleep(600)
