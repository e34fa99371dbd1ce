"""The house's own rules: floors in a strict order, small functions, packages that are packages."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "vmstate"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Lower floors first: a module imports from its own floor and from those before it, for types too.
#: A folder is one floor, unless parts of it are named on their own; ``docs/architecture.md`` has the picture.
FLOORS = (
    *(
        "dataclass",
        "pattern",
        "errors",
        "finding_rules",
        "holes",
        "outputs",
        "shipped",
        "similar_names",
        "users_code",
        "workers",
        "junit",
        "mapped_pages",
        "describe",
        "handwritten",
        "containers",
    ),
    *("stream.constants", "stream.items", "stream.wire", "stream.sections", "stream.vmdesc", "stream"),
    *("tree", "schema", "binaries", "savevm", "expectations", "explain"),
    *("pseries.options", "pseries.vio_bus", "pseries.tables", "pseries.machine", "pseries.rules"),
    *("pseries.changes", "pseries.catalogue", "pseries.board", "pseries.devices"),
    *("pseries.recorded_devices", "pseries.device_tree"),
    *("pseries.cas", "pseries.registration", "pseries.startup", "pseries", "kvm"),
    *(
        "simulate",
        "compare",
        "compatibility",
        "records",
        "conversion",
        "proposals",
        "matrix",
        "scenarios",
        "qemu",
        "judge",
        "fuzz",
        "front",
        "bump",
        "pages",
        "plugin",
        "cli",
        "__main__",
    ),
)

FUNCTION_LINES = 50
MACHINES_OF_ANY_TYPE = 0


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").strip(".")


def floor_of(module: str) -> int:
    """The place in FLOORS of a module, named without ``vmstate.``; the package itself is above all."""
    known = [floor for floor in FLOORS if module == floor or module.startswith(f"{floor}.")]
    if not known:
        assert module == "", f"{module} is on no floor: name it in FLOORS"
        return len(FLOORS)
    return FLOORS.index(max(known, key=len))


@cache
def names_of_modules() -> frozenset[str]:
    return frozenset(name_of(path) for path in MODULES)


def imported(tree: ast.Module) -> set[str]:
    """Modules of the package that a module imports, late and for types too, without ``vmstate.``."""
    known = names_of_modules()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which floor they reach"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name.removeprefix("vmstate.") in known else node.module for name in inner}
    return {name.removeprefix("vmstate.") for name in found if name.startswith("vmstate.")} & known


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_floor_and_below(path):
    tree = ast.parse(path.read_text())
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    assert long == []
    own = floor_of(name_of(path))
    assert [other for other in sorted(imported(tree)) if floor_of(other) > own] == []


def test_every_floor_has_a_module():
    used = {floor_of(name_of(path)) for path in MODULES}
    assert [floor for place, floor in enumerate(FLOORS) if place not in used] == []


def test_folders_import_one_another_in_one_direction_only():
    """Between two folders, neither inside the other, no arrow has one that points back, nor a way back."""
    arrows: dict[str, set[str]] = {}
    for path in MODULES:
        folder = _folder(name_of(path), path)
        for other in imported(ast.parse(path.read_text())):
            target = _folder(other, PACKAGE / Path(*other.split(".")) / "__init__.py")
            if not f"{target}.".startswith(f"{folder}.") and not f"{folder}.".startswith(f"{target}."):
                arrows.setdefault(folder, set()).add(target)
    done: set[str] = set()

    def visit(folder: str, above: tuple[str, ...]) -> None:
        assert folder not in above, " -> ".join((*above[above.index(folder) :], folder))
        if folder not in done:
            for target in sorted(arrows.get(folder, ())):
                visit(target, (*above, folder))
            done.add(folder)

    for folder in sorted(arrows):
        visit(folder, ())


def _folder(module: str, path: Path) -> str:
    whole = path.name == "__init__.py" and path.exists()
    return module if whole or "." not in module else module.rpartition(".")[0]


def test_every_package_is_one():
    folders = {path.parent for path in MODULES}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_machine_is_of_any_type():
    """Rules, hooks and devices say which machine they take: vmstate.pseries.machine.Machine."""
    untyped = [path for path in PACKAGE.rglob("*.py") if "machine: Any" in path.read_text()]
    assert len(untyped) <= MACHINES_OF_ANY_TYPE


def imports_of_tests(path):
    """Return the names under ``tests`` that a module imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] == "tests"]


def test_a_test_module_imports_no_other_but_the_helpers_in_support():
    others = {
        str(path.relative_to(TESTS)): [
            name for name in imports_of_tests(path) if not name.startswith("tests.support.")
        ]
        for path in TESTS.rglob("*.py")
    }
    assert {path: names for path, names in others.items() if names} == {}


def test_every_module_beside_the_tests_is_a_test_or_in_support():
    known = {"conftest.py", "release_11_2.py"}  # the second is an example that the documents name
    modules = [path for path in TESTS.rglob("*.py") if path.parent != TESTS / "support"]
    assert {path.name for path in modules if not path.name.startswith("test_")} == known
