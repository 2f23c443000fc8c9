"""Which paths of the machine Python needs, and nothing else.

Invariant: a view holds the interpreter, its standard library and shared libraries, three devices, and the
directories that the packages asked for by name are installed in, with all that is installed beside them. Unless it
lies there, it never holds a home directory, the working directory, ``/etc``, ``/proc``, ``/sys`` or textgym.
Installed packages inside the standard library's directory are masked where none was asked for.
"""

from __future__ import annotations

import glob
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.machinery import PathFinder
from typing import Any

from textgym.errors import ConfigError

__all__ = ["View", "interpreter", "view"]

_LINKS = ("/lib", "/lib64", "/lib32", "/libx32")
_LIBRARIES = ("/lib64", "/usr/lib64")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_LINKER_CACHE = "/etc/ld.so.cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Real paths, which are the same inside."""

    directories: tuple[str, ...]
    """With all below them, but the masks."""
    files: tuple[str, ...]
    """Single files."""
    devices: tuple[str, ...]
    """Character devices."""
    masks: tuple[str, ...]
    """Directories shown empty."""
    links: tuple[tuple[str, str], ...]
    """Symbolic links and their targets."""
    packages: tuple[str, ...]
    """Directories with installed packages, for the module search."""

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def interpreter() -> str:
    """The real path of the Python that runs inside: this one, or what its virtual environment is of."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable or "")


@cache
def view(modules: tuple[str, ...]) -> View:
    """The paths that a Python with these modules needs.

    Args:
        modules: Names of modules to be imported; those outside the standard library open the directory that
            they are installed in.

    Returns:
        The view.

    Raises:
        ConfigError: A module is not installed.
    """
    packages = _packages(modules)
    own = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    standard = {os.path.realpath(sysconfig.get_path(name, vars=own)) for name in ("stdlib", "platstdlib")}
    directories = _outermost([*standard, *_library_directories(), *packages])
    installed = {os.path.join(path, name) for path in standard for name in ("site-packages", "dist-packages")}
    installed |= {os.path.realpath(path) for path in site.getsitepackages()}

    def inside(path: str) -> bool:
        return any(_is_inside(path, each) for each in directories)

    masks = [path for path in sorted(installed - {*packages}) if os.path.isdir(path) and inside(path)]
    files = [interpreter(), _LINKER_CACHE, *_own_libraries()]
    return View(
        directories=tuple(directories),
        files=tuple(path for path in files if os.path.exists(path) and not inside(path)),
        devices=_DEVICES,
        masks=tuple(masks),
        links=tuple((path, os.readlink(path)) for path in _LINKS if os.path.islink(path)),
        packages=tuple(packages),
    )


def _packages(modules: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in modules:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in sys.builtin_module_names:
            continue
        spec = PathFinder.find_spec(top)
        if spec is None or spec.origin is None:
            raise ConfigError(f"module {name!r} for the sandbox is not installed")
        place = os.path.dirname(spec.origin)
        found[os.path.realpath(os.path.dirname(place) if spec.submodule_search_locations else place)] = None
    return list(found)


def _library_directories() -> list[str]:
    """Directories of the system's shared libraries: of the C library, and those named after the machine."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    named = [*_LIBRARIES, *(f"{root}/{multiarch}" for root in ("/lib", "/usr/lib") if multiarch)]
    libraries = [path for path in _mapped() if os.path.basename(path).startswith(("libc.", "libc-", "ld-"))]
    named += [os.path.dirname(path) for path in libraries]
    return [os.path.realpath(path) for path in named if os.path.isdir(path)]


def _own_libraries() -> list[str]:
    """Shared libraries that came with the interpreter and lie beside its standard library."""
    folder = os.path.join(os.path.realpath(sys.base_prefix), "lib")
    if folder in ("/lib", "/usr/lib"):
        return []
    return sorted(glob.glob(f"{glob.escape(folder)}/*.so*"))


def _mapped() -> set[str]:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
            return {line.split(None, 5)[5].rstrip("\n") for line in file if ".so" in line}
    except (OSError, IndexError):
        return set()


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(set(paths), key=len):
        if path != "/" and not any(_is_inside(path, each) for each in kept):
            kept.append(path)
    return kept


def _is_inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")
