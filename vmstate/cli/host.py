"""``vmstate host``: KVM hosts, and host files made of what a KVM answers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmstate.cli.report import Report
from vmstate.cli.table_text import columns
from vmstate.dataclass import fields
from vmstate.errors import ConfigurationError
from vmstate.kvm.answers import read_answers
from vmstate.kvm.host_file import host_file, observed, values
from vmstate.kvm.probe import probe
from vmstate.outputs import save_text
from vmstate.pseries.tables.accelerators import Host, host_from, read_host, shipped_host, shipped_hosts
from vmstate.similar_names import did_you_mean

EXAMPLES = (
    ("all hosts", "vmstate host"),
    ("one", "vmstate host p9-hv"),
    ("this machine's KVM, as a file", "vmstate host --probe -o mine.toml"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "hosts",
        metavar="HOST",
        nargs="*",
        help="a shipped host, or the path of a host file (default: list all)",
    )
    origin = parser.add_mutually_exclusive_group()
    origin.add_argument("--probe", action="store_true", help="make a host file: ask /dev/kvm of this machine")
    origin.add_argument("--from-answers", metavar="FILE", help="make a host file of recorded answers")
    parser.add_argument("-o", "--output", metavar="FILE.toml", help="write the host file (default: print it)")
    parser.add_argument("--answers", metavar="FILE", help="with --probe: write the answers down too")
    parser.add_argument("--flavour", choices=("hv", "pr"), help="the kind of KVM, where both are loaded")
    parser.add_argument(
        "--level", type=int, choices=(0, 1, 2), help="0: on the machine, 1: in a guest, 2: in a guest's guest"
    )


def run(options: argparse.Namespace) -> Report:
    """List hosts, show some, or make a host file."""
    if options.probe or options.from_answers is not None:
        if options.hosts:
            raise ConfigurationError("--probe and --from-answers take no host")
        return _make(options)
    makes = {
        "-o": options.output,
        "--answers": options.answers,
        "--flavour": options.flavour,
        "--level": options.level,
    }
    wrong = [name for name, value in makes.items() if value is not None]
    if wrong:
        raise ConfigurationError(f"{', '.join(wrong)}: only with --probe or --from-answers")
    hosts = [_host(name) for name in options.hosts or shipped_hosts()]
    lines = _shown(hosts) if options.hosts else _list(hosts)
    return Report(lines, lambda: {"hosts": {host.name: host for host in hosts}})


def _make(options: argparse.Namespace) -> Report:
    if options.probe:
        lines = probe()
        if options.answers is not None:
            save_text(options.answers, "".join(f"{line}\n" for line in lines))
    elif options.answers is not None:
        raise ConfigurationError("--answers: only with --probe")
    else:
        lines = Path(options.from_answers).read_text("utf-8", "replace").splitlines()
    host = observed(read_answers(lines), flavour=options.flavour, level=options.level)
    result = host_from("host", values(host))  # checks it
    text = list(host_file(host))
    answer = {"hosts": {result.name: result}}
    if options.output is None:
        return Report(text, answer)
    save_text(options.output, "".join(f"{line}\n" for line in text))
    return Report([f"wrote {options.output}: {text[0].removeprefix('# ')}"], answer)


def _host(name: str) -> Host:
    host = shipped_host(name)
    if host is not None:
        return host
    if "/" in name or name.endswith(".toml"):
        return read_host(name)
    raise ConfigurationError(
        f"no host {name!r}{did_you_mean(name, shipped_hosts()) or ';'} there are "
        f"{', '.join(shipped_hosts())}, and paths of host files"
    )


def _list(hosts: Sequence[Host]) -> Iterator[str]:
    yield from columns([("host", "processor", "PVR", "KVM", "level"), *(_row(host) for host in hosts)])


def _row(host: Host) -> tuple[str, ...]:
    return host.name, host.family, f"{host.pvr:#010x}", host.flavour, str(host.level)


def _shown(hosts: Sequence[Host]) -> Iterator[str]:
    for number, host in enumerate(hosts):
        if number:
            yield ""
        yield host.name
        keys = [one for one in fields(host) if one.name != "name"]
        yield from columns([(one.name, _text(one.name, getattr(host, one.name))) for one in keys], "  ")


def _text(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if key == "pvr":
        return f"{value:#010x}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
