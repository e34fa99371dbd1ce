"""docs/library.md: its examples run and print that, its tables are complete."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import shutil
from pathlib import Path

import vmstate
from vmstate import describe

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "library.md").read_text()
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", DOCUMENT, re.DOTALL)
STREAMS = {"guest.mig.zst": "7.2-max-compat-power8", "pc.mig.zst": "x86_64-q35"}


def put_streams(folder):
    for name, stream in STREAMS.items():
        shutil.copy(ROOT / "streams" / f"{stream}.mig.zst", folder / name)


def test_every_example_prints_what_the_document_says(tmp_path, monkeypatch):
    put_streams(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed, wanted = [], []
    for language, text in BLOCKS:
        if language == "text":
            wanted[-1] = text
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, "docs/library.md", "exec"), names)
        printed.append(out.getvalue())
        wanted.append("")
    assert printed == wanted
    assert len(printed) > 8


def table_rows(title):
    section = DOCUMENT.split(f"# {title}\n", 1)[1].split("\n#", 1)[0]
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", section, re.MULTILINE)
    return [row for row in rows if row[0] not in ("---", "macro", "call", "member", "error")]


def test_the_tables_have_every_member():
    functions = " ".join(call for call, _ in table_rows("Functions"))
    errors = " ".join(call for call, _ in table_rows("Errors"))
    for name in vmstate.__all__:
        thing = getattr(vmstate, name)
        if inspect.isfunction(thing):
            assert f"vmstate.{name}(" in functions
        elif inspect.isclass(thing) and issubclass(thing, Exception):
            assert name in errors + "All are `VmstateError`s"
    for cls in (vmstate.StreamFile, vmstate.Prediction):
        text = " ".join(call for call, _ in table_rows(cls.__name__))
        members = [name for name in vars(cls) if not name.startswith("_")]
        fields = ("verdict", "destination", "source", "guest")
        missing = [name for name in members if not re.search(rf"\b{name}\b", text) and name not in fields]
        assert missing == []


def test_signatures_are_those_in_the_document():
    for call, _ in table_rows("Functions"):
        name, given = re.fullmatch(r"`vmstate\.(\w+)\((.*)\)`", call).groups()
        parameters = inspect.signature(getattr(vmstate, name)).parameters
        assert [p for p in parameters if p != "tick"] == re.findall(r"(\w+)(?:=[^,]*)?(?:, |$)", given)


def test_every_field_in_the_table_of_macros_is_one():
    point = describe.VMStateDescription("point", fields=[describe.UInt8("x")])

    class Mine(describe.Info):
        name = "mine"

    known = {**vars(describe), "POINT": point, "KEY": point, "MINE": Mine(), "make": dict, "test": bool}
    rows = table_rows("VMSTATE macros")
    for macro, field in rows:
        if "END_OF_LIST" not in macro:
            assert isinstance(eval(field.strip("`"), known), describe.Field), field
    makers = {name for name in describe.__all__ if name in {"scalar", "Allocated"}}
    text = " ".join(field for _, field in rows)
    assert all(name in text for name in makers)
    assert len(rows) > 45
