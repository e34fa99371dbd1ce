"""docs/dependencies.md, from pyproject.toml and the licences here; run this module to write it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "dependencies.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

#: By package: its licence in SPDX's words, and what vmstate needs it for.
LICENCES: Mapping[str, tuple[str, str]] = {
    "atheris": ("Apache-2.0", "fuzzing vmstate itself, guided by coverage"),
    "bitstring": ("MIT", "fields of single bits"),
    "construct": ("MIT", "the declarations of wire formats"),
    "distributed": ("BSD-3-Clause", "`--scheduler`: batches and campaigns on several hosts"),
    "hypothesis": ("MPL-2.0", "laws checked on random states and streams; strategies for tests of your own"),
    "jinja2": ("BSD-3-Clause", "`--html`: pages"),
    "mkdocs": ("BSD-2-Clause", "this documentation as a site"),
    "jsonschema": ("MIT", "the schemas of `--json`, in the tests"),
    "lz4": ("BSD-3-Clause", "streams compressed by lz4"),
    "mypy": ("MIT", "types"),
    "numpy": ("BSD-3-Clause", "large arrays, guest memory (parts of numpy are 0BSD, MIT, Zlib, CC0-1.0)"),
    "pyelftools": ("LicenseRef-Public-Domain", "reading the descriptions in a QEMU program"),
    "pytest": ("MIT", "tests; the plugin for tests of your own"),
    "pytest-xdist": ("MIT", "tests on several processors"),
    "qemu.qmp": ("LGPL-2.0-or-later", "talking to a real QEMU's monitor"),
    "ruff": ("MIT", "lint and format"),
    "selenium": ("Apache-2.0", "tests that click on the pages"),
    "setuptools": ("MIT", "building the wheel"),
    "tibs": ("MIT", "comes with bitstring"),
    "zstandard": ("BSD-3-Clause", "compressed streams"),
}


def names(texts: list[str]) -> list[str]:
    """Return the names of the packages of some requirements."""
    return [re.split(r"[<>=]", text)[0] for text in texts]


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Dependencies and their licences"
    yield ""
    yield "<!-- Generated from pyproject.toml by `python -m tests.support.dependencies_page`. -->"
    yield ""
    yield "vmstate is under the MIT licence, and has no code of QEMU or of a package below; pip installs them"
    yield "beside it.  A test compares the licences with what the installed packages say of themselves."
    yield from _table("Always installed", [*names(PROJECT["dependencies"]), "tibs"])
    for extra, texts in PROJECT["optional-dependencies"].items():
        yield from _table(f"With the extra `{extra}`", names(texts))


def _table(title: str, packages: list[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from ("| package | licence | for |", "|---|---|---|")
    for name in sorted(packages):
        licence, what = LICENCES[name]
        yield f"| {name} | {licence.removeprefix('LicenseRef-')} | {what} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
