"""Imports go down the floors only, read from the syntax tree of every file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import textgym

ROOT = Path(textgym.__file__).parent

FLOORS = {
    "errors": 0,
    "types": 0,
    "seeding": 0,
    "cutting": 0,
    "first_draws": 0,
    "hooks": 0,
    "jsontext": 0,
    "registration": 0,
    "spaces": 1,
    "parsers": 1,
    "datasets": 1,
    "tokens": 1,
    "sandbox": 1,
    "rewards": 2,
    "tools": 2,
    "policies": 2,
    "rollouts": 3,
    "envs": 4,
    "vector": 5,
    "tasks": 6,
    "server": 7,
    "distributed": 7,
    "testing": 7,
    "cli": 8,
}
"""Name directly below ``textgym`` -> floor. A new module has to be given its floor here."""

FREE = {"__init__", "__main__"}
"""The root names what every floor offers (lazily), so it may name anything."""


def imports_of(tree: ast.AST) -> list[tuple[int, str, bool]]:
    """(line, module, at type-checking time only) of every import of this package."""
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            typing_only.update(child for part in node.body for child in ast.walk(part))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            names = [node.module or ""]
            if node.module == "textgym":
                names = [f"textgym.{alias.name}" for alias in node.names]
        else:
            continue
        found += [(node.lineno, name, node in typing_only) for name in names]
    return [entry for entry in found if entry[1].split(".")[0] == "textgym"]


_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_go_down_the_floors(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own in FREE:
        return
    assert own in FLOORS, f"give textgym.{own} a floor in {Path(__file__).name}"
    for line, name, typing_only in imports_of(ast.parse(path.read_text("utf-8"))):
        parts = name.split(".")
        if len(parts) == 1 or parts[1] not in FLOORS:
            assert parts[1:] in ([], ["__version__"]), f"{path}:{line} imports {name}, which has no floor"
            continue
        if not typing_only:
            assert FLOORS[parts[1]] <= FLOORS[own], (
                f"{path}:{line}: textgym.{own} (floor {FLOORS[own]}) imports {name} "
                f"(floor {FLOORS[parts[1]]})"
            )


def test_no_grab_bags() -> None:
    banned = {"utils", "helpers", "common", "base", "misc"}
    assert not [path for path in FILES if {part.removesuffix(".py") for part in path.parts} & banned]


def test_every_file_says_what_it_is() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def test_modules_form_no_cycle() -> None:
    def module(path: Path) -> str:
        parts = ["textgym", *path.relative_to(ROOT).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    names = {module(path) for path in FILES}
    edges: dict[str, set[str]] = {}
    for path in FILES:
        tree = ast.parse(path.read_text("utf-8"))
        top = [node for node in tree.body if not isinstance(node, _LATER)]
        found = imports_of(ast.Module(top, []))
        targets = {name for _, name, typing_only in found if not typing_only}
        edges[module(path)] = set(targets & names)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        for target in edges.get(name, ()):
            visit(target, (*trail, name))
        done.add(name)

    for name in names:
        visit(name, ())
