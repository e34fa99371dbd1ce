"""How programs are built: upstream's have all devices built in, some of Debian's have some in modules."""

from __future__ import annotations

from collections.abc import Collection

from vmstate.describe.history import Release

#: The variable of the environment with the folder of modules (util/module.c ``module_load``).
MODULE_DIR = "QEMU_MODULE_DIR"
#: The releases and whole lines that are Debian's builds, with modules.
WITH_MODULES: Collection[str] = frozenset({"7.2.22", "10.0", "11.1.3"})
#: Those whose modules are installed beside them, as the package does it.
INSTALLED: Collection[str] = frozenset({"7.2.22"})
#: The modules that load into such a program for pseries.
LOADABLE: Collection[str] = frozenset({"hw-display-virtio-gpu-pci"})


def has_modules(release: Release) -> bool:
    """Return True if the program of that release looks for some devices in modules."""
    return bool({str(release), f"{release.major}.{release.minor}"} & frozenset(WITH_MODULES))


def lacks(release: Release, module: str, *, found: bool) -> str:
    """Return why a program lacks the devices of a module; empty if it has them.

    ``found``: the command line says where its modules are.
    """
    if not module or not has_modules(release):
        return ""
    if module not in LOADABLE:
        return f"this build of {release} has it in the module {module}, which does not load for pseries"
    if not found and str(release) not in INSTALLED:
        return f"this build of {release} has it in the module {module}; set {MODULE_DIR} if it is installed"
    return ""
