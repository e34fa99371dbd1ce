"""``vmstate device``: all sections that devices send, or one of them: names, fields, history."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from vmstate.cli.device_text import DeviceLines, DeviceSummary
from vmstate.cli.report import Report
from vmstate.cli.table_text import asked, columns, not_known
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with
from vmstate.dataclass import dataclass, replace
from vmstate.describe import Release
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.known_devices import CAPABILITY, Found, find_device, known_devices
from vmstate.pseries.summaries import CapabilitySummary, migrated_words, summarize_capability
from vmstate.simulate.census import Sent, census, sent_by, sent_runs
from vmstate.simulate.default_machines import (
    DefaultMachine,
    SectionName,
    name_of,
    option,
    registered,
    section_names,
    sections_of_drivers,
    start,
)

EXAMPLES = (
    ("all sections", "vmstate device"),
    ("one through the releases", "vmstate device cpu/compat --history"),
    ("who has this field", "vmstate device cpu.env.nip"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="a section (cpu), a subsection (cpu/compat), a driver (e1000), a capability (cap-fwnmi) "
        "or a field (cpu/compat.compat_pvr); without it, a list of all sections",
    )
    parser.add_argument(
        "--history", action="store_true", help="show the releases of each field, subsection and version"
    )
    parser.add_argument("--release", metavar="R", help="the release (default: the newest that has it)")
    parser.add_argument(
        "--machine",
        metavar="TYPE",
        help="the machine that sends it: pseries-7.2, or with options: pseries-7.2,ic-mode=xive",
    )
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """List all devices, or show one."""
    catalogue, release = asked(options, options.release)
    newest = release or max(catalogue.newest)
    drivers = sections_of_drivers(catalogue, max(catalogue.newest))
    if options.name is None:
        return _list(catalogue, newest, options.machine, drivers)
    found = find_device(catalogue, options.name, drivers)
    mine = [driver for driver, section in drivers.items() if section == found.device.name]
    candidates = [release] if release is not None else sorted(catalogue.newest, reverse=True)
    shown = _shown(catalogue, found, candidates, options.machine, mine)
    everywhere = shown if options.machine is None and release is None else _anywhere(catalogue, found, mine)
    summary = DeviceSummary(
        found,
        shown.release,
        mine,
        shown.machine,
        section_names(shown.machine, found.device.name),
        bool(section_names(everywhere.machine, found.device.name)),
        _at_rest(found, shown.machine),
        _sent(catalogue, found, None if options.history else release, shown.arguments),
        _capability(catalogue, found, shown.release),
        _migrated(catalogue, shown.release),
    )
    lines = DeviceLines(summary, Style.of(sys.stdout))
    return Report(lines.history() if options.history else lines.now(), summary.as_json)


@dataclass(frozen=True)
class _Shown:
    """The machine whose stream is shown, its release, and the options that plug the device."""

    release: Release
    machine: DefaultMachine
    arguments: str


def _shown(
    catalogue: Catalogue, found: Found, releases: list[Release], wanted: str | None, drivers: list[str]
) -> _Shown:
    """Find the newest machine that registers the section, plugging the device if needed; else any."""
    offering = [release for release in releases if _offers(catalogue, release, wanted)]
    if not offering:
        name = _type_in(wanted or "")
        known = catalogue.binary(releases[0]).machine_types if len(releases) == 1 else _all_types(catalogue)
        raise not_known("machine type", name, known)
    shown: list[_Shown] = []
    for release in offering:
        if not _exists(found, release):
            continue
        for arguments in ("", *map(option, drivers)):
            machine = start(catalogue, release, wanted or catalogue.binary(release).default_type, arguments)
            shown.append(_Shown(release, machine, arguments))
            if section_names(machine, found.device.name):
                return shown[-1]
    if shown:
        return replace(shown[0], arguments="")
    release = offering[0]
    machine = start(catalogue, release, wanted or catalogue.binary(release).default_type)
    return _Shown(release, machine, "")


def _anywhere(catalogue: Catalogue, found: Found, drivers: list[str]) -> _Shown:
    return _shown(catalogue, replace(found, named=()), sorted(catalogue.newest, reverse=True), None, drivers)


def _offers(catalogue: Catalogue, release: Release, wanted: str | None) -> bool:
    return wanted is None or _type_in(wanted) in (*catalogue.binary(release).machine_types, "pseries")


def _type_in(machine: str) -> str:
    """Return the machine type in ``pseries-7.2,ic-mode=xive -device e1000``."""
    return machine.replace(",", " ").split()[0] if machine.strip() else ""


def _all_types(catalogue: Catalogue) -> list[str]:
    return [machine_type.name for machine_type in catalogue.machine_types]


def _at_rest(found: Found, machine: DefaultMachine) -> list[str]:
    """List the subsections that the machine sends before the guest runs."""
    if machine.instance is None or not found.device.rows:
        return []
    parts = [row for row in found.device.rows if row.kind == "subsection"]
    sent = sent_by(machine, found.device.name, parts) if parts else {}
    return [path for path, answer in sent.items() if answer == Sent.AT_REST]


def _exists(found: Found, release: Release) -> bool:
    return not found.named or any(row.exists(release) for row in found.named)


def _sent(catalogue: Catalogue, found: Found, release: Release | None, arguments: str) -> dict[str, Any]:
    """Return runs of releases whose machine types send it in the same way, by section and subsection."""
    name = found.device.name
    parts = found.parts
    releases = sorted(catalogue.newest) if release is None else [release]
    taken = census(catalogue, name, parts, releases, arguments)
    if not found.device.rows:
        return {name: sent_runs(catalogue, taken, name, lambda _: True)}
    return {row.path: sent_runs(catalogue, taken, row.path, row.exists) for row in parts}


def _capability(catalogue: Catalogue, found: Found, release: Release) -> CapabilitySummary | None:
    for capability in catalogue.capabilities:
        if any(row.name == CAPABILITY + capability.subsection for row in found.named):
            known = [
                one
                for one in (release, *sorted(catalogue.newest, reverse=True))
                if capability.span.covers(one)
            ]
            return summarize_capability(catalogue, known[0], capability, catalogue.newest) if known else None
    return None


def _migrated(catalogue: Catalogue, release: Release) -> dict[str, str]:
    """Describe when the subsection of each of the release's capabilities is sent."""
    binary = catalogue.binary(release)
    known = (c for c in catalogue.capabilities if c.property_name in binary.capability)
    return {CAPABILITY + c.subsection: migrated_words(binary, c) for c in known}


def _list(catalogue: Catalogue, release: Release, wanted: str | None, drivers: dict[str, str]) -> Report:
    """List every known section: those of the machine in sending order, then the others."""
    if not _offers(catalogue, release, wanted):
        raise not_known("machine type", _type_in(wanted or ""), catalogue.binary(release).machine_types)
    machine = start(catalogue, release, wanted or catalogue.binary(release).default_type)
    names: dict[str, list[SectionName]] = {}
    for (_, device), one in zip(registered(machine), section_names(machine), strict=True):
        names.setdefault(name_of(device), []).append(one)
    order = list(names)
    devices = sorted(
        known_devices(catalogue), key=lambda d: order.index(d.name) if d.name in names else len(order)
    )
    rows = [
        {
            "section": device.name,
            "drivers": [driver for driver, section in drivers.items() if section == device.name],
            "in_stream": names.get(device.name) or section_names(machine, device.name),
            "about": device.about,
            "file": device.file,
        }
        for device in devices
    ]
    return Report(_list_lines(machine, rows), {"command_line": machine.command_line, "devices": rows})


def _list_lines(machine: DefaultMachine, rows: list[dict[str, Any]]) -> Iterator[str]:
    head = ("section", "-device", "ids", f"in a stream of {machine.command_line}")
    table = [
        (
            row["section"],
            ", ".join(row["drivers"]),
            ", ".join("-" if one.section_id is None else str(one.section_id) for one in row["in_stream"]),
            ", ".join(dict.fromkeys(one.idstr for one in row["in_stream"] if one.sent))
            or ("not at rest" if row["in_stream"] else "absent"),
        )
        for row in rows
    ]
    yield from columns([head, *table])
