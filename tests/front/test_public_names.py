"""What ``import vmstate`` gives: the names in __all__, and at no cost before they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vmstate

ROOT = Path(vmstate.__file__).parents[1]


def modules_after(program: str) -> set[str]:
    """Return the modules that a bare interpreter has imported after the program, beside its own."""
    path = f"sys.path.insert(0, {str(ROOT)!r})"
    code = f"import sys; {path}; before = set(sys.modules); {program}; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_imports_nothing_else():
    assert modules_after("import vmstate") == {"vmstate", "__future__"}
    assert modules_after("import vmstate; dir(vmstate)") == {"vmstate", "__future__"}


@pytest.mark.parametrize("name", vmstate.__all__)
def test_every_public_name_is_there(name):
    assert getattr(vmstate, name) is getattr(vmstate, name)
    assert name in dir(vmstate)


def test_names_are_those_that_a_type_checker_sees():
    tree = ast.parse(Path(vmstate.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for node in guarded.body:
        for alias in node.names:
            seen[alias.asname or alias.name] = (node.module, alias.name)
    assert sorted([*seen, "__version__"]) == sorted(vmstate.__all__)
    assert seen == vmstate._HOMES


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'vmstate' has no attribute 'opne'"):
        _ = vmstate.opne


@pytest.mark.parametrize("name", ["open", "load", "migrate", "verify", "diff", "from_json", "StreamFile"])
def test_every_public_name_is_documented(name):
    assert getattr(vmstate, name).__doc__


def test_star_import_gives_all():
    names: dict[str, object] = {}
    exec("from vmstate import *", names)
    assert set(vmstate.__all__) <= set(names)


def test_a_strict_type_checker_accepts_the_example(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(
        "import vmstate\n"
        'with vmstate.open("guest.mig") as stream:\n'
        '    stream["cpu[0].nip"] = 0x100\n'
        '    size: int = stream.save("edited.mig")\n'
        '    verdict = vmstate.load(stream, on="qemu-7.2")\n'
        "accepted: bool = verdict.accepted\n"
        "names: list[str] = [section.idstr for section in stream.sections]\n"
    )
    (tmp_path / "wrong.py").write_text("import vmstate\nvmstate.opne('x')\nvmstate.load('x')\n")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path),
    ]
    run = subprocess.run(
        [*command, "user.py", "wrong.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"MYPYPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert "user.py" not in run.stdout, run.stdout
    assert "wrong.py:2" in run.stdout
    assert "wrong.py:3" in run.stdout
