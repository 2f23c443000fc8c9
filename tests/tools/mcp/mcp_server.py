"""A real MCP server, made with the official package and run as a process of its own.

    python mcp_server.py               over standard input and output
    python mcp_server.py --http[=PORT] on a loopback port, a free one by default, which is the first line it prints

Further words choose what it does badly: `deaf` never answers, `dead` ends at once, `stubborn` ignores the end of
its input and SIGTERM, `noisy` writes much to stderr, `chatty` writes what is no protocol to stdout, `nested` has a
child that holds its output open, `modern` knows no `initialize`, `pages` lists its tools on two pages, `endless`
on pages without end, `twins` lists one name twice, `stateless` keeps no sessions over HTTP.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time

WORDS = {word.partition("=")[0] for word in sys.argv[1:]}
COUNTERS: dict[str, int] = {}

if "dead" in WORDS:
    sys.exit("mcp_server: API_KEY is not set")
if "noisy" in WORDS:
    sys.stderr.write("noise " * 100_000 + "\n")
if "chatty" in WORDS:
    sys.stdout.write("Welcome!\n\n{}\n[1, 2\n\x00\n")
    sys.stdout.flush()
if "nested" in WORDS:
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", f"child-of-{os.getpid()}"])
if "stubborn" in WORDS:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "deaf" in WORDS:
    time.sleep(600)

import anyio  # noqa: E402
from mcp import MCPError  # noqa: E402
from mcp.server.lowlevel import Server  # noqa: E402
from mcp.server.mcpserver import Context, Image, MCPServer  # noqa: E402
from mcp.server.mcpserver.exceptions import ToolError  # noqa: E402
from mcp.server.stdio import stdio_server  # noqa: E402
from mcp.types import (  # noqa: E402
    METHOD_NOT_FOUND,
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ListToolsResult,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel  # noqa: E402

server = MCPServer("tests", log_level="WARNING")


class Point(BaseModel):
    """A structured result."""

    x: int
    y: int


@server.tool(structured_output=False, annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int = 1) -> str:
    """Add two whole numbers."""
    return str(a + b)


@server.tool(structured_output=False)
async def slow(seconds: float) -> str:
    """Answer late."""
    await anyio.sleep(seconds)
    return "late"


@server.tool()
def fail(reason: str) -> str:
    """Fail."""
    raise ToolError(reason)


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
    return CallToolResult(
        content=[
            TextContent(type="text", text="first"),
            Image(data=b"123", format="png").to_image_content(),
            AudioContent(type="audio", data=base64.b64encode(b"12345").decode(), mime_type="audio/wav"),
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


async def knows_no_initialize(context: object, call_next: object) -> object:
    if context.method == "initialize":
        raise MCPError(METHOD_NOT_FOUND, "there is no initialize in this protocol")
    return await call_next(context)


def listing() -> Server[object]:
    """A server whose list of tools is odd."""

    async def list_tools(context: object, params: object) -> ListToolsResult:
        cursor = getattr(params, "cursor", None)
        schema = {"type": "object", "properties": {}}
        if "twins" in WORDS:
            return ListToolsResult(tools=[Tool(name=name, input_schema=schema) for name in ("a", "b", "a")])
        page = int(cursor or 0)
        more = str(page + 1) if page == 0 or "endless" in WORDS else None
        return ListToolsResult(tools=[Tool(name=f"t{page}", input_schema=schema)], next_cursor=more)

    return Server("listing", on_list_tools=list_tools)


async def serve(odd: Server[object]) -> None:
    async with stdio_server() as (read_stream, write_stream):
        await odd.run(read_stream, write_stream, odd.create_initialization_options())


def serve_http() -> None:
    import uvicorn

    port = next((int(word.partition("=")[2]) for word in sys.argv if word.startswith("--http=")), 0)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(100)
    print(listener.getsockname()[1], flush=True)
    app = server.streamable_http_app(stateless_http="stateless" in WORDS)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])


if "modern" in WORDS:
    server.middleware.append(knows_no_initialize)
if "--http" in WORDS:
    serve_http()
elif WORDS & {"pages", "endless", "twins"}:
    anyio.run(serve, listing())
else:
    server.run("stdio")
if "stubborn" in WORDS:
    time.sleep(600)
