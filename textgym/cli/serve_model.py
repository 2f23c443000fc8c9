"""``textgym serve-model PATH``: a local Hugging Face model behind OpenAI's protocol.

Invariant: standard output has one line, the base URL, once requests can be answered; it listens on loopback
unless ``--host`` says otherwise. What it answers is written in ``textgym.server``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from textgym.cli import console
from textgym.cli.exits import Exit
from textgym.errors import ConfigError

__all__ = ["HELP", "add_arguments", "run"]

HELP = "Serve a local Hugging Face model with OpenAI's protocol"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("path", metavar="PATH", help="folder (or hub name) of a causal language model")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="HOST", help="address to listen on (127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=int, default=8000, metavar="PORT", help="port (8000); 0 takes a free one"
    )
    parser.add_argument("--model-name", metavar="M", help="name that requests give (PATH)")
    parser.add_argument("--api-key", metavar="KEY", help="clients have to send this key; everybody may read "
                        "it in the list of processes, so better:")  # fmt: skip
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the key")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, … (a GPU if there is one)")
    parser.add_argument("--dtype", metavar="T", help="float32, bfloat16, … (as stored)")
    parser.add_argument("--max-batch", type=int, default=32, metavar="N", help="completions at a time (32)")
    parser.add_argument("--max-context", type=int, metavar="N", help="tokens of prompt and completion")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Load the model and serve it until Ctrl-C."""
    from textgym.policies import TransformersPolicy
    from textgym.server import ModelServer

    key = _key(arguments)
    with TransformersPolicy(
        arguments.path,
        device=arguments.device,
        dtype=arguments.dtype,
        max_batch=arguments.max_batch,
        max_context=arguments.max_context,
        name=arguments.model_name or arguments.path,
    ) as policy:
        server = ModelServer(policy, host=arguments.host, port=arguments.port, api_key=key)
        console.out(server.base_url)
        console.flush()
        console.note(f"{console.PROGRAM}: serving {server.model}; Ctrl-C ends it")
        server.serve()
    return Exit.OK


def _key(arguments: argparse.Namespace) -> str | None:
    name = arguments.api_key_env
    if name is None:
        key: str | None = arguments.api_key
        return key
    if arguments.api_key is not None:
        raise ConfigError("--api-key and --api-key-env exclude each other: give one")
    if not os.environ.get(name):
        raise ConfigError(f"--api-key-env names {name}, which is not set: export {name}=…")
    return os.environ[name]
