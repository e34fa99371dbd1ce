"""``vmstate snapshots``: list the internal snapshots of a qcow2 image."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from vmstate.cli.report import Report
from vmstate.containers.opening import read_source
from vmstate.containers.qcow2 import MAGIC, Snapshot, read_image
from vmstate.errors import Unsupported

EXAMPLES = (("list the snapshots: vmstate show disk.qcow2@NAME shows one", "vmstate snapshots disk.qcow2"),)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("image", metavar="IMAGE", help="a qcow2 image")


def run(options: argparse.Namespace) -> Report:
    """List the snapshots."""
    data, _ = read_source(options.image, None)
    magic = bytes(data[: len(MAGIC)])
    if magic != MAGIC:
        raise Unsupported(f"{options.image} is not a qcow2 image", expected=MAGIC.hex(), found=magic.hex())
    found = read_image(data).snapshots
    return Report(_lines(options.image, found), {"snapshots": [one.as_json() for one in found]}, ())


def _lines(image: str, found: tuple[Snapshot, ...]) -> Iterator[str]:
    for one in found:
        facts = one.as_json()
        state = f"{one.vm_state_size} bytes of state" if one.vm_state_size else "the disk alone"
        yield f"{one.id}  {one.name}  {facts['date']}  {state}"
    with_state = next((one for one in found if one.vm_state_size), None)
    if with_state is not None:
        yield f"vmstate show '{image}@{with_state.name}' shows the first"
    elif not found:
        yield "no snapshots"
