"""Drivers are found by name without importing all device modules, and without the index as well."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from tests.support import driver_index
from vmstate.pseries import devices
from vmstate.pseries.devices import _Drivers, _modules_of_drivers, drivers


def test_the_index_is_what_the_modules_declare():
    assert driver_index.FILE.read_text("utf-8") == driver_index.text(), (
        "python -m tests.support.driver_index writes it"
    )


def test_a_driver_is_the_same_by_name_and_among_all():
    for name, driver in _Drivers().items():
        assert _Drivers()[name] is driver
        assert drivers()[name] is driver


@pytest.mark.parametrize("wrong", ["", "vio.spapr_vty"], ids=["not in the index", "elsewhere"])
def test_a_driver_is_found_whatever_the_index_says(monkeypatch, wrong):
    monkeypatch.setattr(devices, "_modules_of_drivers", lambda: {"e1000": wrong} if wrong else {})
    assert _Drivers()["e1000"].name == "e1000"
    assert "no-such-driver" not in _Drivers()


def test_no_two_modules_have_a_driver_of_one_name_and_no_alias_is_a_driver():
    names = [driver.name for module in devices.modules() for driver in getattr(module, "DRIVERS", ())]
    assert len(set(names)) == len(names)
    assert {alias for driver in drivers().values() for alias in driver.aliases}.isdisjoint(names)


def test_one_driver_is_found_without_the_modules_of_others():
    asked = (
        "import sys; from vmstate.pseries.devices import drivers; assert drivers()['spapr-vty'].vio_name;"
        "print(*[one for one in sys.modules if one.startswith('vmstate.pseries.devices.')])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    found = {name.removeprefix("vmstate.pseries.devices.") for name in done.stdout.split()}
    assert "vio.spapr_vty" in found
    assert found.isdisjoint({"pci.e1000", "usb.xhci", "virtio.virtio_net", "scsi.scsi_disk"})


@pytest.mark.parametrize("module", sorted(set(_modules_of_drivers().values())))
def test_a_module_of_a_driver_can_be_the_first_that_is_imported(module):
    """Nothing that a driver needs is set up by the module of another."""
    asked = f"import vmstate.pseries.devices.{module}"
    subprocess.run([sys.executable, "-c", asked], check=True)
    assert import_module(f"vmstate.pseries.devices.{module}").DRIVERS
