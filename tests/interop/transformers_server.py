"""`transformers serve` as a context manager: somebody else's OpenAI-compatible server, on loopback.

Invariant: on leaving, however that happens, no process of the server's group is alive. It knows no
more of the server than how to start it and ask for its health.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
GRACE_SECONDS = 5.0
LOG_TAIL_LINES = 40


@contextlib.contextmanager
def transformers_server(
    folder: str | Path, *, deadline: float = 120.0, log: str | Path | None = None
) -> Iterator[str]:
    """Serve the model in `folder` on the CPU and yield the server's URL, without `/v1`.

    The server is pinned to its model: requests have to name it exactly as `str(folder)`.

    Args:
        folder: A saved model.
        deadline: Seconds the server has to answer its first health check.
        log: Where its output goes; `<folder>.log` by default.

    Raises:
        RuntimeError: It exited, or was not healthy in time. The message ends with the log's tail.
    """
    log_path = Path(log) if log is not None else Path(f"{folder}.log")
    port = _free_port()
    command = [
        str(Path(sys.executable).with_name("transformers")),
        *("serve", str(folder)),
        *("--device", "cpu"),
        *("--host", HOST),
        *("--port", str(port)),
    ]
    # An empty hub cache of its own: neither the network nor this user's models can leak in.
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": f"{folder}.hub",
        "PYTHONUNBUFFERED": "1",
        # Threads have nothing to share in so small a model; on busy cores they wait for each other.
        "OMP_NUM_THREADS": "1",
    }
    with log_path.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        url = f"http://{HOST}:{port}"
        _wait_until_healthy(url, process, deadline, log_path)
        yield url
    finally:
        _kill_group(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], deadline: float, log: Path) -> None:
    # A proxy named in the environment must not answer for the loopback server.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"transformers serve exited with {process.returncode}:\n{_tail(log)}")
        try:
            with opener.open(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:  # refused while it starts; HTTP errors are OSErrors too
            pass
        time.sleep(0.2)
    raise RuntimeError(f"transformers serve was not healthy in {deadline:g} s:\n{_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # The group is signalled even when its leader is gone: a child may have outlived it.
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
