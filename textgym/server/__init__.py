"""Servers. ``ModelServer`` answers OpenAI's protocol with a local model; ``textgym serve-model`` runs it.

Invariant: nothing here is imported by a lower floor, and starlette and uvicorn are loaded when a server is
made.
"""

from textgym.server.model_server import ModelServer

__all__ = ["ModelServer"]
