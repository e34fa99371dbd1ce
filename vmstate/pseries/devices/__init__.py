"""The devices of pseries machines, each declared in its own module.

A module has the device's section, its state, its checks, and ``DRIVERS``: the devices that ``-device`` can
plug.  Modules are found automatically; a new one need not be listed anywhere.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType

from vmstate.describe.history import Release, Span
from vmstate.pseries.board.driver import Driver


def modules() -> Iterator[ModuleType]:
    """Import and yield every device module, including those in folders."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        yield import_module(module.name)


@cache
def drivers() -> Mapping[str, Driver]:
    """Return every driver by name."""
    found = (driver for module in modules() for driver in getattr(module, "DRIVERS", ()))
    return MappingProxyType({driver.name: driver for driver in found})


#: The table of aliases was another one before; it was not checked.
_ALIASES = Span("5.2")


@cache
def _aliases() -> Mapping[str, str]:
    return {alias: driver.name for driver in drivers().values() for alias in driver.aliases}


def real_name(name: str, release: Release) -> str:
    """Return the name of the driver that ``name`` is an alias of; any other name unchanged.

    softmmu/qdev-monitor.c ``qdev_alias_table``.
    """
    return _aliases().get(name, name) if _ALIASES.covers(release) else name
