"""docs/dependencies.md: every dependency, with the licence that the installed package says it has."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata, requires

import pytest

from tests.support.dependencies_page import LICENCES, PAGE, PROJECT, names, page

#: What classifiers and old metadata call a licence.
CALLED = {
    "Apache-2.0": "Apache", "BSD-2-Clause": "BSD", "BSD-3-Clause": "BSD", "LGPL-2.0-or-later": "LGPLv2+",
    "LicenseRef-Public-Domain": "Public [Dd]omain", "MIT": "MIT", "MPL-2.0": "MPL.2.0",
}  # fmt: skip


def test_the_page_is_made_from_the_project():
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.support.dependencies_page"


def test_each_licence_is_of_a_dependency():
    several = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    assert LICENCES.keys() - {"tibs"} == {name for texts in several for name in names(texts)}


@pytest.mark.parametrize("package", sorted(LICENCES))
def test_an_installed_package_says_that_it_has_this_licence(package):
    try:
        data = metadata(package)
    except PackageNotFoundError:
        pytest.skip("not installed")
    licence = LICENCES[package][0]
    if data["License-Expression"]:
        assert re.match(rf"{re.escape(licence)}(?: AND |$)", data["License-Expression"])
        return
    said = [data["License"] or "", *(data.get_all("Classifier") or ())]
    assert re.search(CALLED.get(licence, re.escape(licence)), "\n".join(said)), said


def test_nothing_else_is_always_installed():
    wanted = {"construct", "bitstring", "numpy", "zstandard"}
    assert set(names(PROJECT["dependencies"])) == wanted
    brought = {
        re.split(r"[<>=!~ ;\[]", text)[0]
        for package in wanted
        for text in requires(package) or ()
        if "extra ==" not in text and "python_version <" not in text and "PyPy" not in text
    }
    assert brought <= wanted | {"tibs"}
