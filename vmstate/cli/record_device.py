"""``vmstate record-device``: record from a real QEMU what a device adds to a machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vmstate.cli.report import Report
from vmstate.pseries.board.recordings import VARIABLE
from vmstate.qemu.binary import PROGRAM, identify
from vmstate.qemu.device_recorder import DeviceRecorder, write_recording

EXAMPLES = (
    ("two devices", "vmstate record-device -o devices usb-tablet e1000e"),
    ("of another QEMU", "vmstate record-device -o devices e1000e --qemu /opt/qemu/bin/qemu-system-ppc64"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("names", nargs="+", metavar="NAME", help="a device that -device help lists")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="the folder of recordings: DIR/NAME.json"
    )
    parser.add_argument(
        "--qemu", default=PROGRAM, metavar="PROGRAM", help=f"the QEMU to ask (default: {PROGRAM})"
    )


def run(options: argparse.Namespace) -> Report:
    """Record each device, and keep earlier recordings of other releases."""
    binary = identify(options.qemu)
    recorder = DeviceRecorder(binary)
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    for name in options.names:
        found[name] = recorder.record(name)
        write_recording(folder, name, binary.release, found[name])
    result = {
        "output": str(folder),
        "release": str(binary.release),
        "devices": {name: _summary(record) for name, record in found.items()},
    }
    return Report(_lines(found, folder), result, ok=True)


def _lines(found: dict[str, dict[str, Any]], folder: Path) -> Iterator[str]:
    for name, record in found.items():
        yield f"{folder / name}.json: {_summary(record)}"
    yield f"to use them: export {VARIABLE}={folder}"


def _summary(record: dict[str, Any]) -> str:
    """Return one line: the device does not start, or what it adds."""
    plugged = record.get("plugged")
    if plugged is None:
        refused = record.get("refused")
        return refused[0] if refused else f"bus {record['bus'] or 'none'}: only its properties are recorded"
    newest = plugged[-1]
    if "refused" in newest or "blocked" in newest:
        return str(newest.get("blocked") or newest["refused"][0])
    counts = f"{len(newest['sections'])} sections, {len(newest['blocks'])} RAM blocks"
    return f"{counts}; {len(plugged)} kinds of machine types"
