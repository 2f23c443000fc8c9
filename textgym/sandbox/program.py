"""The text that a bare interpreter is started with: modules of ``textgym.sandbox.jail`` and a call of a main.

Invariant: the text is self-contained, so that inside a view no file of this package has to be visible.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["ARGUMENTS", "BARE_ARGUMENTS", "ENVIRONMENT", "program"]

BARE_ARGUMENTS = ("-s", "-S", "-P", "-B", "-X", "utf8")
"""No site packages of any kind, no working directory in the module search, no byte code written. The
environment is not ignored (``-I``), because hashing is fixed there."""
ARGUMENTS = (*BARE_ARGUMENTS, "-")
"""The text comes by standard input."""
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""All that a zygote gets: sets of strings have one order in every run, and libraries that would start threads
do not, because a process with threads cannot be forked safely. The zygote clears it before the first child."""

_PACKAGE = "textgym.sandbox.jail"
_CONFINEMENT = ("oom", "libc", "syscalls", "seccomp", "landlock", "namespaces", "identity", "confinement")
_MODULES = {"zygote": (*_CONFINEMENT, "interpreter", "zygote"), "bare": ("oom", "interpreter", "bare")}
"""Main module -> it and those that it needs, in the order in which they can be run."""

_START = """
import sys, types
for package in ("textgym", "textgym.sandbox", {package!r}):
    sys.modules[package] = types.ModuleType(package)
for name, source in {sources!r}.items():
    module = types.ModuleType(name)
    sys.modules[name] = module
    setattr(sys.modules[{package!r}], name.rpartition(".")[2], module)
    exec(compile(source, "<" + name + ">", "exec"), module.__dict__)
module.main()
"""


@cache
def program(main: str) -> bytes:
    """The text of a program.

    Args:
        main: ``"zygote"`` or ``"bare"``, whose function ``main`` it calls.

    Returns:
        Python source in UTF-8.
    """
    folder = files(_PACKAGE)
    sources = {
        f"{_PACKAGE}.{name}": folder.joinpath(f"{name}.py").read_text("utf-8") for name in _MODULES[main]
    }
    return _START.format(package=_PACKAGE, sources=sources).encode()
