"""The real QEMUs that the tests may use."""

from __future__ import annotations

import pytest

from vmstate.qemu import Binary, QemuNotFound, find


@pytest.fixture(scope="session")
def binary() -> Binary:
    try:
        return find()
    except QemuNotFound as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def machine(binary: Binary) -> list[str]:
    """Return the command line of a small pseries machine, without warnings about features that TCG lacks."""
    tcg = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
    return [binary.path, "-nodefaults", "-machine", f"pseries-5.2,{tcg}", "-m", "256"]


@pytest.fixture(scope="session")
def saved(machine: list[str], tmp_path_factory: pytest.TempPathFactory):
    from vmstate.qemu import capture

    path = tmp_path_factory.mktemp("saved") / "guest's stream.mig"  # a name that needs quoting in a shell
    assert capture(machine, path) == ()
    return path
