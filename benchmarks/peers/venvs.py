"""A virtual environment for each peer, made when it is first needed.

Invariant: an environment that is there and complete is used as it is; one whose requirements have changed, or
whose installation did not finish, is made anew. Nothing is installed into the interpreter that runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PEERS", "Peer", "Unavailable", "run_program"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_MARK = "installed-requirements.txt"


class Unavailable(Exception):
    """A peer cannot be installed, or its program failed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A system that textgym is measured beside."""

    label: str
    """Name in tables."""
    program: str
    """File beside this one that does the work."""
    requirements: tuple[str, ...] = ()
    """What its environment holds; empty is this interpreter with this repository."""

    def python(self, folder: Path | None) -> str:
        """The interpreter, made first where it is missing.

        Args:
            folder: Where environments are kept; None makes none.

        Raises:
            Unavailable: It could not be installed, or there is no folder for it.
        """
        if not self.requirements:
            return sys.executable
        if folder is None:
            raise Unavailable(f"needs {' and '.join(self.requirements)} in a folder of --venvs")
        venv = folder / Path(self.program).stem.partition("_")[2]
        python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        wanted = "\n".join(self.requirements)
        mark = venv / _MARK
        if mark.is_file() and mark.read_text("utf-8") == wanted:
            return str(python)
        print(f"installing {wanted.replace(chr(10), ', ')} into {venv} …", file=sys.stderr)
        _checked([sys.executable, "-m", "venv", "--clear", str(venv)])
        _checked([str(python), "-m", "pip", "install", "--quiet", *self.requirements])
        mark.write_text(wanted, "utf-8")
        return str(python)


PEERS = {
    "textgym": Peer(label="textgym", program="play_textgym.py"),
    "aiohttp": Peer(label="raw aiohttp", program="play_aiohttp.py", requirements=("aiohttp==3.14.5",)),
    "openai": Peer(label="openai client", program="play_openai.py", requirements=("openai==3.54.0",)),
    "openai-aiohttp": Peer(
        label="openai on aiohttp",
        program="play_openai_aiohttp.py",
        requirements=("openai[aiohttp]==3.54.0",),
    ),
    "atropos": Peer(label="Atropos", program="play_atropos.py", requirements=("atroposlib==0.4.0",)),
    "verifiers": Peer(label="verifiers", program="play_verifiers.py", requirements=("verifiers==0.3.1",)),
    "inspect": Peer(
        label="Inspect AI",
        program="play_inspect.py",
        requirements=("inspect-ai==0.3.285", "openai==3.54.0"),
    ),
}
"""Those that play conversations."""


def run_program(
    peer: Peer, folder: Path | None, arguments: Sequence[str], timeout: float = 1800.0
) -> dict[str, Any]:
    """Run a peer's program and read its JSON line.

    Args:
        peer: Which.
        folder: Where environments are kept; None leaves out peers that need one.
        arguments: Its command line.
        timeout: Seconds until it is given up.

    Raises:
        Unavailable: It could not be installed, failed, or said nothing that can be read.
    """
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    env["NO_PROXY"] = env["no_proxy"] = "*"  # some clients would send what is for the mock server to a proxy
    if not peer.requirements:
        env["PYTHONPATH"] = str(ROOT)
    output = _checked([peer.python(folder), str(HERE / peer.program), *arguments], env=env, timeout=timeout)
    try:
        line: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise Unavailable(f"{peer.program} printed no JSON line but {output[-200:]!r}") from error
    return line


def _checked(command: Sequence[str], env: dict[str, str] | None = None, timeout: float = 1800.0) -> str:
    try:
        done = subprocess.run(command, env=env, timeout=timeout, capture_output=True, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{Path(command[0]).name} {' '.join(command[1:4])}: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Unavailable(f"{' '.join(command[1:4])} ended with {done.returncode}: {lines[-1][:300]}")
    return done.stdout
