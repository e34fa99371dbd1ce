"""The devices of pseries machines, each declared in its own module.

A module has the device's section, its state, its checks, and ``DRIVERS``: the devices that ``-device`` can
plug.  Modules are found automatically; a new one need not be listed anywhere (``board.driver_index``,
which is generated, makes finding faster).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType

from vmstate.describe.history import Release, Span
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.driver_index import LINES


def modules() -> Iterator[ModuleType]:
    """Import and yield every device module, including those in folders."""
    import pkgutil  # most machines do without

    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        yield import_module(module.name)


class _Drivers(Mapping[str, Driver]):
    """Every driver by name.

    To find one, the module is imported that the index names: a machine has a few devices, and to import
    the modules of all takes 15 ms.  A name that is not in the index, or not where the index says, is looked
    for in all modules.
    """

    def __init__(self) -> None:
        self._found: dict[str, Driver] = {}
        self._complete = False

    def __getitem__(self, name: str) -> Driver:
        if name not in self._found and not self._complete:
            module = _modules_of_drivers().get(name)
            if module is not None:
                self._found |= _declared(import_module(f"{__name__}.{module}"))
            if name not in self._found:
                self._complete_it()
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        self._complete_it()
        return iter(self._found)

    def __len__(self) -> int:
        self._complete_it()
        return len(self._found)

    def _complete_it(self) -> None:
        if not self._complete:
            self._found = {name: one for module in modules() for name, one in _declared(module).items()}
            self._complete = True


def _declared(module: ModuleType) -> dict[str, Driver]:
    return {driver.name: driver for driver in getattr(module, "DRIVERS", ())}


@cache
def _modules_of_drivers() -> dict[str, str]:
    lines = (line.split() for line in LINES.split("\n"))
    return {name: module for module, *names in filter(None, lines) for name in names}


_DRIVERS = _Drivers()


def drivers() -> Mapping[str, Driver]:
    """Return every driver by name; they are imported when they are looked up."""
    return _DRIVERS


#: The table of aliases was another one before; it was not checked.
_ALIASES = Span("5.2")


@cache
def _aliases() -> Mapping[str, str]:
    return {alias: driver.name for driver in drivers().values() for alias in driver.aliases}


def real_name(name: str, release: Release) -> str:
    """Return the name of the driver that ``name`` is an alias of; any other name unchanged.

    softmmu/qdev-monitor.c ``qdev_alias_table``.
    """
    if not _ALIASES.covers(release) or name in drivers():
        return name
    return _aliases().get(name, name)
