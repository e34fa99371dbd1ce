"""The QEMU that emulates a host: its command line, and the zip file that the host's recorder is."""

from __future__ import annotations

import importlib.util
import subprocess
import zipfile
from pathlib import Path

from kvm_lab.kinds import Kind

_TOOLS = Path(__file__).resolve().parents[1]
#: The parts of the package that the recorder imports.
_RECORDER = ("vmstate", "vmstate/describe", "vmstate/qemu", "vmstate/kvm")


def emulator(root: Path) -> list[str]:
    """Return the words that run the unpacked QEMU with its own libraries and firmware."""
    loader = next(
        iter(sorted(root.glob("usr/lib64/ld-linux*.so.*")) or sorted(root.glob("lib64/ld-linux*.so.*")))
    )
    folders = [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")]
    folders += [path for folder in folders for path in folder.glob("pulseaudio")]
    libraries = ":".join(map(str, folders))
    program = root / "usr/bin/qemu-system-ppc64"
    modules = next(iter(root.glob("usr/lib/*/qemu")), root)
    own = ["env", f"QEMU_MODULE_DIR={modules}", str(loader), "--library-path", libraries]
    return [*own, str(program), "-L", str(root / "usr/share/qemu")]


def command(kind: Kind, shared: Path, kernel: Path, initramfs: Path, *, memory: str = "4G") -> list[str]:
    """Return the arguments of the emulator for a host whose shared folder is ``shared``."""
    # Without its default devices a powernv machine has no PCI host bridge.
    bus = ",bus=pcie.0" if kind.bare else ""
    # Programs at the same addresses in every process: the emulator need not translate them anew.
    append = f"console=hvc0 panic=1 norandmaps flavour={kind.flavour} {kind.append}".strip()
    return [
        *("-M", kind.machine),
        *(("-cpu", kind.cpu) if kind.cpu else ()),
        *(("-net", "none") if kind.bare else ("-nodefaults",)),
        *("-m", memory, "-smp", "1", "-display", "none", "-monitor", "none", "-no-reboot"),
        *("-serial", f"file:{shared / 'console.txt'}"),
        *("-kernel", str(kernel), "-initrd", str(initramfs), "-append", append),
        *("-fsdev", f"local,id=f,path={shared},security_model=none"),
        *("-device", f"virtio-9p-pci,fsdev=f,mount_tag=x{bus}"),
    ]


def write_recorder(path: Path) -> None:
    """Write the recorder and all that it imports as a zip file that Python can run from."""
    qmp = importlib.util.find_spec("qemu.qmp")
    if qmp is None or qmp.origin is None:
        raise ModuleNotFoundError("the recorder needs the package qemu.qmp: pip install 'qemu-vmstate[qemu]'")
    package = Path(qmp.origin).parent
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in _RECORDER:
            for one in sorted((_TOOLS.parent / name).glob("*.py")):
                file.write(one, one.relative_to(_TOOLS.parent))
        for one in sorted(package.glob("*.py")):
            file.write(one, f"qemu/qmp/{one.name}")
        file.writestr("qemu/__init__.py", "")
        for name in ("__init__.py", "recorder.py"):
            file.write(_TOOLS / "kvm_lab" / name, f"kvm_lab/{name}")


def run(words: list[str], seconds: float, said: Path) -> int:
    """Run the emulator at a low priority, for some seconds at most; what it says goes to a file.

    Return its status, -1 if its time was over.
    """
    with said.open("wb") as file:
        process = subprocess.Popen(
            ["nice", "-n", "5", *words], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            process.kill()
            process.wait()
