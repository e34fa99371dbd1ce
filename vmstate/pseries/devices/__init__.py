"""The devices of pseries machines, each declared in a module of its own.

A module has the device's section and state, what it checks and sends, and ``DRIVERS``: what ``-device`` can
plug.  Modules are found by looking; a new one needs to be named nowhere else.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType

from vmstate.pseries.board.driver import Driver


def modules() -> Iterator[ModuleType]:
    """Import and yield every device module, in folders too."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        yield import_module(module.name)


@cache
def drivers() -> Mapping[str, Driver]:
    """Return every driver by name."""
    found = (driver for module in modules() for driver in getattr(module, "DRIVERS", ()))
    return MappingProxyType({driver.name: driver for driver in found})
