"""The house's own rules: small modules, small functions, and no floor that leans on the one above."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vmstate"
MODULES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    "errors": 0,
    "shipped": 0,
    "describe": 1,
    "containers": 2,
    "stream": 3,
    "tree": 4,
    "savevm": 5,
    "pseries": 6,
    "simulate": 7,
    "proposals": 8,
    "cli": 10,
    "__main__": 11,
}
ABOVE_PROPOSALS = 9  # scenarios, compare, fuzz, qemu, testing: they may use one another

MODULE_LINES = 400
FUNCTION_LINES = 50


def floor_of(module: str) -> int:
    """The floor of a dotted name in the package; the package itself is under everything."""
    parts = module.split(".")
    return -1 if len(parts) == 1 else FLOORS.get(parts[1], ABOVE_PROPOSALS)


def imported(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which floor they reach"
            names.append(node.module)
            # `from vmstate import stream` reaches a floor too.
            names += [f"vmstate.{alias.name}" for alias in node.names if node.module == "vmstate"]
    return [n for n in names if n.split(".")[0] == "vmstate" and not n.startswith("vmstate.__")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_small_and_imports_only_from_its_floor_and_below(path):
    text = path.read_text()
    tree = ast.parse(text)
    name = ".".join(("vmstate", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    assert text.count("\n") <= MODULE_LINES
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []
    above = [other for other in imported(tree) if floor_of(other) > max(floor_of(name), 0)]
    assert above == []


def test_every_package_is_one():
    folders = {path.parent for path in MODULES}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
