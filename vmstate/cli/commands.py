"""The subcommands.  The module of each has ``configure(parser)`` and ``run(options) -> Report``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subcommand:
    """The module of a subcommand, and its summary for ``vmstate --help``.

    ``before_command``: what follows ``--`` is a command line, in ``options.qemu``; argparse would not find
    an argument that stands before an option, if another stands after ``--``.
    """

    module: str
    summary: str
    before_command: bool = False


COMMANDS: dict[str, Subcommand] = {
    "show": Subcommand("vmstate.cli.show", "show the tree of sections and fields, or a part of it"),
    "find": Subcommand("vmstate.cli.find", "find sections, fields and values, each with its whole path"),
    "verify": Subcommand(
        "vmstate.cli.verify", "check streams: structure, description, declarations, rewriting"
    ),
    "diff": Subcommand(
        "vmstate.cli.diff", "compare two streams by section and field, and guest memory by page"
    ),
    "compare": Subcommand(
        "vmstate.cli.compare",
        "compare the descriptions of two QEMUs, in both directions, by their wire layouts",
    ),
    "bump": Subcommand(
        "vmstate.cli.bump", "find out if a release may ship: migration between it and the old one, both ways"
    ),
    "lint": Subcommand("vmstate.cli.lint", "find declarations that are known to end in trouble"),
    "snapshots": Subcommand("vmstate.cli.snapshots", "list the snapshots in a qcow2 image"),
    "edit": Subcommand(
        "vmstate.cli.edit", "set fields, add or remove subsections; all other bytes stay the same"
    ),
    "strip": Subcommand("vmstate.cli.strip", "remove guest memory from a stream"),
    "load": Subcommand(
        "vmstate.cli.load", "load a stream in a simulated destination, and show what QEMU would print"
    ),
    "migrate": Subcommand("vmstate.cli.migrate", "simulate a migration between two command lines, or many"),
    "matrix": Subcommand(
        "vmstate.cli.matrix", "migrate between all releases, for many machine types, processors and modes"
    ),
    "whatif": Subcommand(
        "vmstate.cli.whatif", "show what a proposed patch changes, over many pairs of machines"
    ),
    "explain": Subcommand(
        "vmstate.cli.explain", "explain a line that QEMU prints, or why a migration is refused"
    ),
    "scenario": Subcommand(
        "vmstate.cli.scenario",
        "run scenarios: migrations from QEMU's history with known results",
    ),
    "releases": Subcommand("vmstate.cli.releases", "show the known QEMU releases, or one of them in full"),
    "machine": Subcommand(
        "vmstate.cli.machine", "show a machine type as a release has it: default CPU, levels, differences"
    ),
    "device": Subcommand(
        "vmstate.cli.device", "show a device's section: its name in a stream, fields, subsections, history"
    ),
    "describe": Subcommand(
        "vmstate.cli.describe", "show the descriptions in a QEMU program, read without running it"
    ),
    "host": Subcommand(
        "vmstate.cli.host", "show KVM hosts, or make a host file of what the KVM of this machine answers"
    ),
    "fuzz": Subcommand(
        "vmstate.cli.fuzz", "give changed streams to a destination, to find crashes, hangs and disagreements"
    ),
    "minimize": Subcommand("vmstate.cli.minimize", "reduce a finding to the smallest recipe that shows it"),
    "unwrap": Subcommand("vmstate.cli.unwrap", "unpack a stream from its containers"),
    "wrap": Subcommand(
        "vmstate.cli.wrap", "compress a stream, or pack it into the same containers as another file"
    ),
    "capture": Subcommand("vmstate.cli.capture", "save a stream from a real QEMU"),
    "record": Subcommand(
        "vmstate.cli.record", "record what each machine type of a real QEMU is and sends, or what changed"
    ),
    "record-device": Subcommand("vmstate.cli.record_device", "record from a real QEMU what a device sends"),
    "replay": Subcommand(
        "vmstate.cli.replay",
        "load a stream in a real QEMU, and compare the verdict with the simulated one",
        before_command=True,
    ),
}
