"""The subcommands: name, module, summary, group.

The module of each has ``configure(parser)``, ``run(options) -> Report`` and ``EXAMPLES``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Group(StrEnum):
    """Groups of commands by purpose, in the order of ``vmstate help``."""

    READ = "read a stream"
    CHANGE = "change a stream"
    PREDICT = "predict a migration"
    REAL = "use a real QEMU"
    BUILDS = "judge a build of QEMU"
    FUZZ = "test a destination"
    FACTS = "look up what is known"
    HELP = "help"


class Subcommand(NamedTuple):
    """The module of a subcommand, its summary for ``vmstate help``, and its group.

    ``extra``: the extra of the distribution that it needs: ``pip install 'qemu-vmstate[EXTRA]'``.
    """

    module: str
    summary: str
    group: Group
    extra: str = ""


COMMANDS: dict[str, Subcommand] = {
    "show": Subcommand(
        "vmstate.cli.show", "show the tree of sections and fields, or a part of it", Group.READ
    ),
    "find": Subcommand(
        "vmstate.cli.find", "find sections, fields and values, each with its whole path", Group.READ
    ),
    "verify": Subcommand(
        "vmstate.cli.verify", "check streams: structure, description, declarations, rewriting", Group.READ
    ),
    "diff": Subcommand(
        "vmstate.cli.diff",
        "compare two streams by section and field, and guest memory by page",
        Group.READ,
    ),
    "memory": Subcommand(
        "vmstate.cli.memory", "write guest memory to a file or an ELF core, show or search it", Group.READ
    ),
    "snapshots": Subcommand("vmstate.cli.snapshots", "list the snapshots in a qcow2 image", Group.READ),
    "unwrap": Subcommand("vmstate.cli.unwrap", "unpack a stream from its containers", Group.READ),
    "edit": Subcommand(
        "vmstate.cli.edit",
        "set fields, add or remove subsections; all other bytes stay the same",
        Group.CHANGE,
    ),
    "strip": Subcommand("vmstate.cli.strip", "remove guest memory from a stream", Group.CHANGE),
    "wrap": Subcommand(
        "vmstate.cli.wrap", "compress a stream, or pack it into the containers of another file", Group.CHANGE
    ),
    "build": Subcommand(
        "vmstate.cli.build", "make a stream from the JSON of show --json, bit for bit", Group.CHANGE
    ),
    "convert": Subcommand(
        "vmstate.cli.convert",
        "change a stream so that a destination accepts it, and say what is lost with it",
        Group.CHANGE,
    ),
    "new": Subcommand(
        "vmstate.cli.new", "write the stream that a QEMU with some command line would send", Group.PREDICT
    ),
    "load": Subcommand(
        "vmstate.cli.load",
        "load a stream in a simulated destination, and show what QEMU would print",
        Group.PREDICT,
    ),
    "migrate": Subcommand(
        "vmstate.cli.migrate", "simulate a migration between two command lines, or many", Group.PREDICT
    ),
    "explain": Subcommand(
        "vmstate.cli.explain", "explain a line that QEMU prints, or why a migration is refused", Group.PREDICT
    ),
    "matrix": Subcommand(
        "vmstate.cli.matrix",
        "migrate between all releases, for many machine types, processors and modes",
        Group.PREDICT,
    ),
    "whatif": Subcommand(
        "vmstate.cli.whatif", "show what a proposed patch changes, over many pairs of machines", Group.PREDICT
    ),
    "scenario": Subcommand(
        "vmstate.cli.scenario",
        "run scenarios: migrations from QEMU's history with known results",
        Group.PREDICT,
    ),
    "capture": Subcommand("vmstate.cli.capture", "save a stream from a real QEMU", Group.REAL, extra="qemu"),
    "replay": Subcommand(
        "vmstate.cli.replay",
        "load a stream in a real QEMU, and compare the verdict with the simulated one",
        Group.REAL,
        extra="qemu",
    ),
    "record": Subcommand(
        "vmstate.cli.record",
        "record what each machine type of a real QEMU is and sends, or what changed",
        Group.REAL,
        extra="qemu",
    ),
    "record-device": Subcommand(
        "vmstate.cli.record_device",
        "record from a real QEMU what a device sends",
        Group.REAL,
        extra="qemu",
    ),
    "bump": Subcommand(
        "vmstate.cli.bump",
        "find out if a release may ship: migration between it and the old one, both ways",
        Group.BUILDS,
        extra="qemu,describe",
    ),
    "compare": Subcommand(
        "vmstate.cli.compare",
        "compare the descriptions of two QEMUs, both ways, by their wire layouts",
        Group.BUILDS,
        extra="describe",
    ),
    "lint": Subcommand(
        "vmstate.cli.lint",
        "find declarations that are known to end in trouble",
        Group.BUILDS,
        extra="describe",
    ),
    "describe": Subcommand(
        "vmstate.cli.describe",
        "show the descriptions in a QEMU program, read without running it",
        Group.BUILDS,
        extra="describe",
    ),
    "fuzz": Subcommand(
        "vmstate.cli.fuzz",
        "give changed streams to a destination, to find crashes, hangs and disagreements",
        Group.FUZZ,
    ),
    "minimize": Subcommand(
        "vmstate.cli.minimize", "reduce a finding to the smallest recipe that shows it", Group.FUZZ
    ),
    "releases": Subcommand(
        "vmstate.cli.releases", "show the known QEMU releases, or one of them in full", Group.FACTS
    ),
    "machine": Subcommand(
        "vmstate.cli.machine",
        "show a machine type as a release has it: default CPU, levels, differences",
        Group.FACTS,
    ),
    "capability": Subcommand(
        "vmstate.cli.capability", "show the capabilities of pseries, or one of them in full", Group.FACTS
    ),
    "cpu": Subcommand(
        "vmstate.cli.cpu", "show the processors of pseries: PVR, aliases, compat modes, releases", Group.FACTS
    ),
    "device": Subcommand(
        "vmstate.cli.device",
        "show a device's section: its name in a stream, fields, subsections, history",
        Group.FACTS,
    ),
    "host": Subcommand(
        "vmstate.cli.host",
        "show KVM hosts, or make a host file of what the KVM of this machine answers",
        Group.FACTS,
    ),
    "help": Subcommand("vmstate.cli.help", "explain a command, or a topic that concerns several", Group.HELP),
    "completion": Subcommand(
        "vmstate.cli.completion", "print the completion of bash, zsh or fish", Group.HELP
    ),
}
