"""ModelServer: a local model behind OpenAI's protocol, in a thread or in the foreground.

    with ModelServer(policy) as server:
        client = textgym.OpenAIPolicy(server.model, base_url=server.base_url, tokens=True)

Invariant: it listens on loopback unless told otherwise, and when ``stop`` or ``serve`` has returned nothing
listens any more. What it answers is in ``model_app.py``.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from textgym.errors import ConfigError, MissingExtra
from textgym.server.model_app import model_app

if TYPE_CHECKING:
    from textgym.policies.transformers import TransformersPolicy

__all__ = ["ModelServer"]

_READY_SECONDS = 10.0
_GRACE_SECONDS = 5
_BACKLOG = 2048


class ModelServer:
    """Serves a policy. Use it as a context manager, or call ``start`` and ``stop``, or ``serve``.

    Args:
        policy: The model. It stays the caller's to close.
        model: Name that requests have to give; None takes the policy's.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        api_key: What clients have to send; None lets everybody in.
        max_body_bytes: Longest request body that is read.

    Raises:
        MissingExtra: Starlette or uvicorn is not installed.
        ConfigError: The address cannot be listened on.
    """

    def __init__(
        self,
        policy: TransformersPolicy,
        *,
        model: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        max_body_bytes: int = 16 * 2**20,
    ) -> None:
        try:
            import uvicorn
        except ImportError as error:
            raise MissingExtra("the model server needs starlette and uvicorn", extra="serve") from error
        self.policy = policy
        self.model = model or policy.name
        """Name of the model, as requests give it."""
        self.host = host
        app = model_app(policy, model=self.model, api_key=api_key, max_body_bytes=max_body_bytes)
        self._config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._socket = _listening(host, port)
        self.port = int(self._socket.getsockname()[1])
        """Port that it listens on, from the moment it is made."""
        self._server: Any = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL, ending in ``/v1``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/v1"

    def serve(self) -> None:
        """Answer requests until Ctrl-C or SIGTERM (which is raised again afterwards), or until ``stop``.

        Requests on their way get a few seconds to finish.
        """
        import uvicorn

        self._server = uvicorn.Server(self._config)
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def start(self) -> Self:
        """Answer requests in a background thread, from now on."""
        self._thread = threading.Thread(target=self.serve, name="textgym-model-server", daemon=True)
        self._thread.start()  # the socket listens already: early clients wait in its backlog
        return self

    def stop(self) -> None:
        """Stop answering and wait for the end; harmless when it does not run."""
        thread, self._thread = self._thread, None
        if thread is None:
            self._socket.close()
            return
        while self._server is None and thread.is_alive():
            thread.join(0.01)
        if self._server is not None:
            self._server.should_exit = True
        thread.join(_READY_SECONDS + _GRACE_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error}: choose another --port") from error
    return listener
