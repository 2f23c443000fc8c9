"""Running the command line as a process, and what it came to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Result:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what was wrong."""
        (line,) = (line for line in self.err.splitlines() if line.startswith("textgym: error: "))
        return line.removeprefix("textgym: error: ")

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


def without_time(text: str) -> str:
    """The text with every number of seconds masked."""
    return re.sub(r"\d+\.\d s$", "# s", text, flags=re.MULTILINE)


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """``textgym …`` as a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return subprocess.Popen(
        [sys.executable, "-m", "textgym", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )
