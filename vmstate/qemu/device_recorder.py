"""Record what a device adds to a pseries machine, by asking a real QEMU.

A recording is a JSON object (``docs/recorded-devices.md``): the device's bus and properties as
``-device NAME,help`` prints them, QEMU's lines if it refuses the bare device, and, by machine type, what the
device adds to a stream: its sections with their description and bytes, its RAM blocks, its PCI regions.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass, field
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.outputs import save_text
from vmstate.pseries.board.recordings import OTHER_MAC, packed, unpacked
from vmstate.qemu.binary import Binary
from vmstate.qemu.capture import save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QmpRefused
from vmstate.qemu.properties import properties_of
from vmstate.qemu.replay import RealOutcome, replay
from vmstate.qemu.session import Session
from vmstate.stream.items import Section
from vmstate.stream.reader import Stream, open_stream

#: Capabilities that TCG lacks; without them a start prints no warning.
_QUIET = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
_LINE = re.compile(r'name "(?P<name>[^"]+)"(?:, bus (?P<bus>[^,\s]+))?')
_PLACE, _PATH = "0x5", "pci@800000020000000:05.0"
_CONTROLLER, _CONTROLLER_PATH = "0x4", "pci@800000020000000:04.0"
_LAST, _LAST_PATH = "0x1f", "pci@800000020000000:1f.0"
#: Sections that say something about the whole machine: the blocks, the clock.
_OF_MACHINE = frozenset({"ram", "timer"})

#: The machine without the device, for each bus that is recorded: options in front, options of the device.
_BUSES: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "PCI": ((), f"addr={_PLACE}", _PATH),
    "": ((), "", "no path"),
    "usb-bus": (
        ("-device", f"qemu-xhci,id=hc,addr={_CONTROLLER}"),
        "bus=hc.0,port=1",
        f"{_CONTROLLER_PATH}/1",
    ),
}


@dataclass(frozen=True)
class Listed:
    """A device that ``-device help`` lists."""

    name: str
    bus: str


def listed(binary: Binary) -> list[Listed]:
    """Return the devices that a user can plug, in QEMU's order."""
    done = subprocess.run(
        [binary.path, "-machine", "pseries", "-device", "help"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [Listed(one["name"], one["bus"] or "") for one in _LINE.finditer(done.stdout)]


def machine_types(binary: Binary) -> list[str]:
    """Return the versions of the pseries machine types, oldest first (``2.1``)."""
    done = subprocess.run(
        [binary.path, "-machine", "help"], check=False, capture_output=True, text=True, timeout=60
    )
    found = set(re.findall(r"^pseries-(\d+\.\d+) ", done.stdout, re.MULTILINE))
    return sorted(found, key=lambda text: tuple(map(int, text.split("."))))


@dataclass
class Snapshot:
    """A saved stream of a machine: its sections, RAM blocks, regions of PCI devices, QEMU's lines.

    ``changing``: the sections that differ from start to start.
    """

    lines: tuple[str, ...]
    sections: dict[tuple[str, int], Section]
    payloads: dict[tuple[str, int], bytes]
    described: dict[tuple[str, int], Any]
    blocks: dict[str, int]
    regions: dict[int, list[list[int]]]
    tree: str
    raw: bytes = field(repr=False, default=b"")
    changing: frozenset[tuple[str, int]] = frozenset()


class DeviceRecorder:
    """Records devices with one QEMU.

    Baselines are saved once for each machine type and bus, a machine with the device once for each type.
    """

    def __init__(self, binary: Binary) -> None:
        self._binary = binary
        self._baselines: dict[tuple[str, ...], Snapshot] = {}
        self._types = machine_types(binary)
        self._listed = {one.name: one for one in listed(binary)}
        self._saved: dict[tuple[str, ...], Snapshot] = {}

    def record(self, name: str) -> dict[str, Any]:
        """Return the recording of a device.  Raises ConfigurationError if this QEMU does not list it."""
        self._saved.clear()
        found = self._listed.get(name)
        if found is None:
            raise ConfigurationError(f"QEMU {self._binary.release} lists no device {name!r}")
        properties = properties_of(self._binary, name)
        about: dict[str, Any] = {"bus": found.bus, "properties": properties}
        refused = self._refusal(found)
        if refused is not None:
            about["refused"] = refused
        if found.bus not in _BUSES:
            return about
        needs = self._needs(found, properties, refused)
        if needs is None:
            return about
        about["needs"] = needs
        about["behind"] = self._behind(found, needs)
        about["plugged"] = self._by_type(found, needs, "mac" in properties)
        return about

    # ---- what it needs to start

    def _refusal(self, device: Listed) -> list[str] | None:
        """Return QEMU's lines if it refuses the bare device on a machine with its bus; None if it starts."""
        front = _BUSES[device.bus][0] if device.bus in _BUSES else ()
        try:
            self._save(self._types[-1], (*front, "-device", device.name))
        except QemuRefused as refused:
            return list(refused.messages)
        except QmpRefused:
            pass  # it starts, and does not migrate
        return None

    def _needs(
        self, device: Listed, properties: Mapping[str, Any], refused: list[str] | None
    ) -> list[str] | None:
        """Return the back ends that it needs, by property; None if it does not start with any."""
        possible = [name for name in ("drive", "chardev", "serial") if name in properties]
        attempts: list[list[str]] = [[]]
        attempts += [possible[:count] for count in range(1, len(possible) + 1)]
        for needs in attempts:
            if not needs and refused is not None:
                continue
            try:
                self._plugged(self._types[-1], device, needs)
            except QemuRefused:
                continue
            except QmpRefused:
                pass  # it starts, and does not migrate
            return needs
        return None

    def _behind(self, device: Listed, needs: list[str]) -> list[str]:
        """Return the types of the buses that the device provides, each as often as it has one."""
        try:
            return list(_buses_of(self._plugged(self._types[-1], device, needs).tree, device.name))
        except QmpRefused:
            return []

    # ---- what it adds

    def _by_type(self, device: Listed, needs: list[str], mac: bool) -> list[dict[str, Any]]:
        """Return what the device adds, once for all machine types where it is the same.

        Older types only add compat properties: where the ends of a range agree, all in it do.
        """
        seen: dict[int, dict[str, Any]] = {}

        def fill(low: int, high: int) -> None:
            for place in (high, low):
                if place not in seen:
                    seen[place] = self._added(self._types[place], device, needs, mac, seen.get(high))
            if seen[low] == seen[high]:
                seen.update(dict.fromkeys(range(low, high), seen[high]))
            elif high - low > 1:
                fill((low + high) // 2, high)
                fill(low, (low + high) // 2)

        fill(0, len(self._types) - 1)
        found: list[dict[str, Any]] = []
        for place, version in enumerate(self._types):
            same = next((one for one in found if {**one, "types": 0} == {**seen[place], "types": 0}), None)
            if same is None:
                found.append({"types": [version], **seen[place]})
            else:
                same["types"].append(version)
        return found

    def _added(
        self, version: str, device: Listed, needs: list[str], mac: bool, newer: dict[str, Any] | None
    ) -> dict[str, Any]:
        """Return what the device adds to a machine type; ``newer``: what it adds to a newer one."""
        added: dict[str, Any] = {}
        try:
            after = self._plugged(version, device, needs)
        except QemuRefused as refused:
            return {**added, "refused": list(refused.messages)}
        except QmpRefused as refused:
            return {**added, "blocked": str(refused)}
        before = self._baseline(version, device.bus)
        path = _BUSES[device.bus][2]
        added["says"] = [line for line in after.lines if line not in before.lines]
        touched = _touched(before, after)
        if touched:
            added["touches"] = touched
        last = (f"{_LAST_PATH}/virtio-rng", 0)
        first = before.sections[last].section_id
        added["registrations"] = after.sections[last].section_id - first
        varied = self._plugged(version, device, needs, varied=True) if mac or needs else after
        added["sections"] = [
            self._section(key, after, varied, first, path)
            for key in after.sections
            if key not in before.sections
        ]
        added["blocks"] = [
            [name.replace(path, "{path}"), size]
            for name, size in after.blocks.items()
            if name not in before.blocks
        ]
        describe_suppressed(added, newer)
        if device.bus == "PCI":
            added["regions"] = after.regions.get(int(_PLACE, 16), [])
        if newer is not None and newer == {**newer, **added}:
            return newer
        command = self._command(version, device.bus, self._option(device, needs))
        if any("varied" in one for one in added["sections"]):
            added["loads_varied"] = replay(varied.raw, command).recorded()
        verdict = replay(after.raw, command)
        started = len(after.lines)
        if verdict.outcome is not RealOutcome.ACCEPT or verdict.messages[:started] != after.lines:
            added["loads"] = verdict.recorded()
        elif verdict.messages[started:]:
            added["says_on_load"] = list(verdict.messages[started:])
        return added

    def _section(
        self, key: tuple[str, int], after: Snapshot, varied: Snapshot, first: int, path: str
    ) -> dict[str, Any]:
        section, payload = after.sections[key], after.payloads[key]
        other = varied.payloads.get(key, b"")
        found: dict[str, Any] = {
            "idstr": section.idstr.replace(path, "{path}"),
            "instance_id": section.instance_id,
            "version_id": section.version_id,
            "place": section.section_id - first,
            "description": after.described.get(key),
            "bytes": packed(payload),
        }
        if other != payload:
            found["varied"] = packed(other)
        return found

    # ---- machines

    def _baseline(self, version: str, bus: str) -> Snapshot:
        key = (version, bus)
        if key not in self._baselines:
            first, again = (self._save(version, _BUSES[bus][0]) for _ in range(2))
            first.changing = frozenset(
                one for one in first.payloads if first.payloads[one] != again.payloads.get(one)
            )
            self._baselines[key] = first
        return self._baselines[key]

    def _plugged(self, version: str, device: Listed, needs: list[str], *, varied: bool = False) -> Snapshot:
        options = (*_BUSES[device.bus][0], *self._option(device, needs, varied=varied))
        key = (version, *options)
        if key not in self._saved:
            self._saved[key] = self._save(version, options)
        return self._saved[key]

    def _option(self, device: Listed, needs: Sequence[str], *, varied: bool = False) -> tuple[str, ...]:
        words: list[str] = []
        option = ",".join(filter(None, (device.name, _BUSES[device.bus][1])))
        for need in needs:
            if need == "drive":
                size = 3 if varied else 1
                words += ["-blockdev", f"null-co,node-name=d0,size={size << 20},read-zeroes=on"]
                option += ",drive=d0"
            elif need == "chardev":
                words += ["-chardev", "null,id=c0"]
                option += ",chardev=c0"
            else:
                option += f",{need}={'y' if varied else 'x'}"
        if varied and not needs:
            option += f",mac={OTHER_MAC.hex(':')}"
        return (*words, "-device", option)

    def _command(self, version: str, bus: str, option: Sequence[str]) -> QemuCommand:
        return QemuCommand.parse(self._words(version, (*_BUSES[bus][0], *option)))

    def _words(self, version: str, options: Sequence[str]) -> list[str]:
        last = ("-device", f"virtio-rng-pci,addr={_LAST}")
        machine = f"pseries-{version},{_QUIET}"
        return [self._binary.path, "-nodefaults", "-machine", machine, "-m", "256", *options, *last]

    def _save(self, version: str, options: Sequence[str]) -> Snapshot:
        command = QemuCommand.parse(self._words(version, options))
        with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
            path = Path(directory) / "stream"
            path.touch()
            with Session(command, timeout=60) as qemu:
                regions = dict(_regions(qemu.execute("query-pci")))
                tree = qemu.execute("human-monitor-command", **{"command-line": "info qtree"})
                save_stream(qemu, path)
                ended = qemu.finish()
            if ended.returncode:
                raise QemuRefused("QEMU failed after saving", ended.returncode, ended.messages)
            return _snapshot(path, ended.messages, regions, tree)


def _touched(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the sections of other devices that changed, but for the controller that it is plugged into."""
    expected = before.changing | {(f"{_CONTROLLER_PATH}/xhci", 0)}
    return [
        key[0]
        for key, payload in before.payloads.items()
        if key[0] not in _OF_MACHINE and key not in expected and after.payloads.get(key) != payload
    ]


def _regions(buses: Any) -> Iterator[tuple[int, list[list[int]]]]:
    """Yield the slot of each function 0 on the first bus, and its regions: number, size, 1 for memory."""
    for device in buses[0]["devices"]:
        if not device["function"]:
            yield (
                device["slot"],
                [[one["bar"], one["size"], int(one["type"] == "memory")] for one in device["regions"]],
            )


def _snapshot(path: Path, lines: tuple[str, ...], regions: dict[int, list[list[int]]], tree: str) -> Snapshot:
    stream = open_stream(path)
    sections = {(one.idstr, one.instance_id): one for one in stream.devices}
    payloads = {key: bytes(stream.payload(one)) for key, one in sections.items()}
    ram = stream.ram
    blocks = {block.name: block.length for block in ram.blocks} if ram is not None else {}
    raw = bytes(stream.data)
    return Snapshot(lines, sections, payloads, _descriptions(stream), blocks, regions, tree, raw)


def _buses_of(tree: str, name: str) -> Iterator[str]:
    """Yield the types of the buses of the first device of that name in ``info qtree``."""
    inside = -1
    for line in tree.splitlines():
        indent = len(line) - len(line.lstrip())
        if inside < 0 and line.strip().startswith(f"dev: {name},"):
            inside = indent
        elif inside >= 0 and indent <= inside:
            return
        elif inside >= 0 and indent == inside + 4 and line.strip().startswith("type "):
            yield line.strip().removeprefix("type ")


def _descriptions(stream: Stream) -> dict[tuple[str, int], Any]:
    item = stream.description
    if item is None:
        return {}
    text = bytes(stream.view(item.text_start, item.end))
    parsed = json.loads(text)
    return {
        (one["name"], one["instance_id"]): packed(json.dumps(one, separators=(",", ":")).encode())
        for one in parsed["devices"]
    }


def write_recording(folder: Path, name: str, release: Release, record: Mapping[str, Any]) -> None:
    """Write a recording to ``folder/NAME.json``, beside those of other releases."""
    path = folder / f"{name}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found[str(release)] = record
    lines = (f" {json.dumps(one)}: {json.dumps(found[one])}" for one in sorted(found, key=Release.parse))
    save_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def describe_suppressed(added: dict[str, Any], newer: dict[str, Any] | None) -> None:
    """Describe sections of types before 2.3, which send no vmdesc, as a newer type describes them."""
    described = {one["idstr"]: one for one in (newer or {}).get("sections", ())}
    for one in added.get("sections", ()):
        other = described.get(one["idstr"])
        if one["description"] is None and other is not None and _layout(one) == _layout(other):
            one["description"] = other["description"]


def _layout(section: dict[str, Any]) -> tuple[int, int]:
    return section["version_id"], len(unpacked(section["bytes"]))
