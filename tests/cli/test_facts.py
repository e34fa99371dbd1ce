"""Wire facts, each from one command and one file; the commands against recorded streams and a real QEMU."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vmstate import cli
from vmstate.describe import Release
from vmstate.front.opening import open_stream_file
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.history import in_force, meaning
from vmstate.pseries.known_devices import drivers, known_devices
from vmstate.pseries.summaries import summarize_machine, summarize_release
from vmstate.qemu import QemuNotFound, find
from vmstate.simulate.default_machines import option, section_names, start

ROOT = Path(__file__).resolve().parents[2]
TABLES = "vmstate/pseries/tables"
DEVICES = "vmstate/pseries/devices"


def ask(capsys, command):
    """The result of a command, as programs get it."""
    assert cli.main([*shlex.split(command), "--json"]) == 0, command
    return json.loads(capsys.readouterr().out)["result"]


def row(result, path):
    return next(one for one in result["rows"] if one["path"] == path)


def capability(result, name):
    return next(one for one in result["capabilities"] if one["name"] == name)


def level(result, machine_type):
    return next(
        one["name"] for one in result["capability"]["defaults"] if machine_type in one["machine_types"]
    )


def senders(result, path, answer="at_rest"):
    """(first and last release, first and last machine type) of each run of releases that agree."""
    return [
        (run["releases"][0], run["releases"][-1], run[answer][0], run[answer][-1])
        for run in result["sent"][path]
        if run[answer]
    ]


FACTS = {
    "cpu/compat is sent from 2.10 on, by types from 2.10 on, if there is a mode": (
        "device cpu/compat",
        lambda r: (row(r, "cpu/compat")["since"], senders(r, "cpu/compat", "on_condition")),
        (["2.10"], [("2.10", "11.1", "pseries-2.10", "pseries-11.1")]),
        f"{DEVICES}/cpu/cpu.py",
    ),
    "older types never send cpu/compat": (
        "device cpu/compat",
        lambda r: senders(r, "cpu/compat", "never"),
        [("2.10", "11.1", "pseries-2.1", "pseries-2.9")],
        f"{DEVICES}/cpu/cpu.py",
    ),
    "with max-cpu-compat cpu/compat is sent at rest": (
        "device cpu --release 7.2 --machine pseries-7.2,max-cpu-compat=power8",
        lambda r: r["subsections_at_rest"],
        ["cpu/fpu", "cpu/altivec", "cpu/vsx", "cpu/slb", "cpu/compat"],
        f"{DEVICES}/cpu/cpu.py",
    ),
    "cap-nested-hv is there from 3.1 on, and off": (
        "device cap-nested-hv",
        lambda r: (r["capability"]["since"], r["capability"]["subsection"], level(r, "pseries-11.1")),
        (["3.1"], "spapr/cap/nested_kvm_hv", "off"),
        f"{TABLES}/capabilities.py",
    ),
    "cap-fwnmi is on by default from pseries-5.0 on": (
        "device spapr/cap/fwnmi",
        lambda r: [
            (d["name"], d["machine_types"][0], d["machine_types"][-1]) for d in r["capability"]["defaults"]
        ],
        [("off", "pseries-2.1", "pseries-4.2"), ("on", "pseries-5.0", "pseries-11.1")],
        f"{TABLES}/capabilities.py",
    ),
    "the default CPU of pseries-9.1 in 10.0": (
        "machine pseries-9.1 --release 10.0",
        lambda r: (r["default_cpu"], r["cpu"]["pvr"]),
        ("power10_v2.0", 0x00801200),
        f"{TABLES}/machine_types.py",
    ),
    "the default CPU of pseries-9.1 in 11.1": (
        "machine pseries-9.1 --release 11.1",
        lambda r: (r["default_cpu"], r["cpu"]["pvr"]),
        ("power10_v2.0", 0x00801200),
        f"{TABLES}/machine_types.py",
    ),
    "the default CPU of pseries-11.1": (
        "machine pseries-11.1",
        lambda r: r["default_cpu"],
        "power11_v2.0",
        f"{TABLES}/machine_types.py",
    ),
    "the default CPU of pseries-7.2 changed with 8.1, and by mistake with 9.0": (
        "machine pseries-7.2",
        lambda r: [
            (one["release"], one["changed"]["flag default_cpu"])
            for one in r["changes"]
            if "flag default_cpu" in one["changed"]
        ],
        [
            ("7.2.22", "power9_v2.0"),
            ("8.1.5", "power9_v2.2"),
            ("9.0.4", "power10_v2.0"),
            ("9.2.4", "power9_v2.2"),
        ],
        f"{TABLES}/machine_types.py",
    ),
    "a vscsi has instance 0 under its path, and its own number under its old name": (
        "device vscsi --release 7.2 --machine 'pseries-7.2 -device spapr-vscsi'",
        lambda r: [
            (one["idstr"], one["instance_id"], one["alias_id"], one["compat"]) for one in r["in_stream"]
        ],
        [
            ("v-scsi@71000003/spapr_vscsi", 0, None, ["spapr_vscsi", 0]),
            ("v-scsi@71000004/spapr_vscsi", 0, None, ["spapr_vscsi", 1]),
        ],
        f"{DEVICES}/vio/spapr_vscsi.py",
    ),
    "the instance of a DMA window is its LIOBN": (
        "device spapr_iommu --release 7.2",
        lambda r: [one["instance_id"] for one in r["in_stream"]],
        [0x80000000, 0x80000001, 0x71000002, 0x71000003],
        f"{DEVICES}/pci/spapr_iommu.py",
    ),
    "cpu/slb has version 2 from 9.2 on": (
        "device cpu/slb --history",
        lambda r: row(r, "cpu/slb")["versions"],
        [{"since": [], "value": 1}, {"since": ["9.2"], "value": 2}],
        f"{DEVICES}/cpu/cpu.py",
    ),
    "spapr has version 3, and loads from 1": (
        "device spapr",
        lambda r: (row(r, "spapr")["versions"][0]["value"], row(r, "spapr")["minimum_versions"][0]["value"]),
        (3, 1),
        f"{DEVICES}/spapr/spapr.py",
    ),
    "e1000/tx_tso_state came with 2.12, for types from 2.12 on": (
        "device e1000/tx_tso_state --history",
        lambda r: (row(r, "e1000/tx_tso_state")["since"], senders(r, "e1000/tx_tso_state")),
        (["2.12"], [("2.12", "11.1", "pseries-2.12", "pseries-11.1")]),
        f"{DEVICES}/pci/e1000.py",
    ),
    "e1000's tx.props went with 2.12": (
        "device e1000.tx.props.mss --history",
        lambda r: row(r, "e1000.tx.props.mss")["until"],
        ["2.12"],
        f"{DEVICES}/pci/e1000.py",
    ),
    "virtio-net's RSS state came with 5.1; a field more, and version 2, with 10.2": (
        "device virtio-net-device/rss --history",
        lambda r: (
            row(r, "virtio-net-device/rss")["since"],
            row(r, "virtio-net-device/rss")["versions"][1:],
            row(r, "virtio-net-device/rss.rss_data.supported_hash_types")["since"],
        ),
        (["5.1"], [{"since": ["10.2"], "value": 2}], ["10.2"]),
        f"{DEVICES}/virtio/virtio_net.py",
    ),
    "a virtio-net on the PCI bus": (
        "device virtio-net-pci --release 7.2",
        lambda r: [(one["idstr"], one["version_id"]) for one in r["in_stream"]],
        [("pci@800000020000000:00.0/virtio-net", 11)],
        f"{DEVICES}/virtio/virtio_net.py",
    ),
    "cap-hpt-max-page-size is in every stream of 4.1 to 10.1, of types from 4.1 on": (
        "device spapr/cap/hpt_maxpagesize",
        lambda r: senders(r, "spapr/cap/hpt_maxpagesize"),
        [("4.1", "10.1", "pseries-4.1", "pseries-10.1")],
        f"{TABLES}/capabilities.py",
    ),
    "spapr_dtb is sent by types from 4.0 on": (
        "device spapr_dtb",
        lambda r: senders(r, "spapr_dtb"),
        [("4.0", "11.1", "pseries-4.0", "pseries-11.1")],
        f"{DEVICES}/spapr/spapr.py",
    ),
    "spapr_cpu is sent from 3.0 on, by types from 3.0 on": (
        "device spapr_cpu --history",
        lambda r: (senders(r, "spapr_cpu"), r["events"]),
        (
            [("3.0", "11.1", "pseries-3.0", "pseries-11.1")],
            [{"release": "3.0", "change": "+ section spapr_cpu is registered"}],
        ),
        f"{DEVICES}/cpu/spapr_cpu.py",
    ),
    "there is no configuration section in streams of types up to 2.3": (
        "device configuration",
        lambda r: senders(r, "configuration", "not_registered"),
        [("2.9", "11.1", "pseries-2.1", "pseries-2.3")],
        f"{DEVICES}/host/configuration.py",
    ),
    "cpu/rtas_stopped came with 11.0 and the stable 10.2.1": (
        "device cpu/rtas_stopped",
        lambda r: (row(r, "cpu/rtas_stopped")["since"], senders(r, "cpu/rtas_stopped")),
        (["10.2.1", "11.0"], [("10.2", "11.1", "pseries-10.1", "pseries-11.1")]),
        f"{DEVICES}/cpu/cpu.py",
    ),
    "the default type of 2.11.2 is not its newest": (
        "releases 2.11.2",
        lambda r: (r["default_type"], r["machine_types"][0]["name"]),
        ("pseries-2.11", "pseries-2.12"),
        f"{TABLES}/machine_types.py",
    ),
    "power11 is a compat mode from 9.2 on": (
        "releases",
        lambda r: [one["line"] for one in r["releases"] if "power11" in one["compat_modes"]],
        ["9.2", "10.0", "10.1", "10.2", "11.0", "11.1"],
        f"{TABLES}/compat.py",
    ),
    "power9 is another model in 8.0 and 8.1": (
        "releases 8.1",
        lambda r: [(cpu["name"], cpu["pvr"]) for cpu in r["cpus"] if "power9" in cpu["aliases"]],
        [("power9_v2.2", 0x004E1202)],
        f"{TABLES}/cpu_models.py",
    ),
    "pseries-5.2 is deprecated from 9.1 on, and gone with 11.2": (
        "machine pseries-5.2",
        lambda r: (r["lifespan"]["deprecated_since"], r["lifespan"]["removed_in"]),
        ("9.1", "11.2"),
        f"{TABLES}/lifecycle.py",
    ),
    "pseries-6.0 leaves the VLAN type of an e1000 unset": (
        "machine pseries-6.0",
        lambda r: next(link["compat"] for link in r["links"] if link["name"] == "pseries-6.0"),
        [["e1000", "init-vet", "off"]],
        f"{TABLES}/machine_types.py",
    ),
    "cap-ail-mode-3 is migrated from 9.1 on, and in newer stable releases": (
        "device cap-ail-mode-3 --history",
        lambda r: row(r, "spapr/cap/ail_mode_3")["since"],
        ["8.2.5", "9.0.1", "9.1"],
        f"{TABLES}/capabilities.py",
    ),
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_wire_fact_is_answered_by_a_command_that_names_the_file(fact, capsys):
    command, shown, expected, file = FACTS[fact]
    result = ask(capsys, command)
    assert shown(result) == expected
    assert (ROOT / file).exists()
    assert file in (result.get("file"), *result.get("files", {}).values())


@pytest.mark.parametrize(
    ("command", "near"),
    [
        ("device cpu/compart", "cpu/compat"),
        ("device e1000 --machine pseries-99", "pseries-9.1"),
        ("device cpu --release 12.0", "known lines"),
        ("machine pseries-9.11", "pseries-9.1"),
        ("machine pseries-2.9 --release 10.0", "releases that do: 2.9"),
        ("releases 4.2+nothing", "no such proposal"),
    ],
)
def test_an_unknown_name_is_unusable_and_what_is_near_is_said(command, near, capsys):
    assert cli.main(shlex.split(command)) == 2
    assert near in capsys.readouterr().err


def test_a_release_beside_the_package_can_be_asked(capsys):
    file = ROOT / "tests" / "simulate" / "release_11_2.py"
    assert capability(ask(capsys, f"releases 11.2 --with {file}"), "cap-dexcr")["since"] == ["11.2"]
    machine = ask(capsys, f"machine pseries-11.1 --release 11.2 --with {file}")
    assert machine["levels"]["cap-dexcr"] == ["off", "off"]
    device = ask(capsys, f"device cpu/dexcr --with {file}")
    assert senders(device, "cpu/dexcr") == [("11.2", "11.2", "pseries-11.2", "pseries-11.2")]
    assert device["file"] == "the proposal or file that adds it"


def test_a_proposal_can_be_asked(capsys):
    result = ask(capsys, "device cap-xics --release 4.2+cap-xics-xive")
    assert result["command_line"] == "qemu-4.2.1+cap-xics-xive -machine pseries-4.2"
    assert ask(capsys, "releases 4.2+cap-xics-xive")["capabilities"][-2]["name"] == "cap-xics"


def test_a_condition_is_shown_by_its_docstring(capsys):
    assert cli.main(["device", "cpu_common/crash_occurred"]) == 0
    assert "when: The guest has reported a crash (panic) on this processor." in capsys.readouterr().out


def test_a_condition_without_a_docstring_is_shown_by_its_name():
    def _has_crashed(cpu):
        return cpu.crash_occurred

    assert meaning(_has_crashed) == "has crashed (not explained further)"


def test_some_machine_registers_every_device():
    for device in known_devices(CATALOGUE):
        machines = [("", release) for release in CATALOGUE.newest]
        machines += [
            (option(driver), release) for driver in drivers() for release in sorted(CATALOGUE.newest)[-2:]
        ]
        assert any(
            section_names(
                start(CATALOGUE, release, CATALOGUE.binary(release).default_type, arguments), device.name
            )
            for arguments, release in machines
        ), device.name


def test_the_tables_are_shown_without_what_streams_need():
    script = (
        "import sys; from vmstate.cli import main; main(['releases']); main(['machine', 'pseries-9.1']);"
        "print([m for m in ('numpy', 'construct', 'vmstate.stream', 'vmstate.simulate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_of_the_document_runs(capsys):
    document = (ROOT / "docs" / "facts.md").read_text()
    commands = re.findall(r"`vmstate ((?:releases|machine|device)[^`]*)`", document)
    assert len(commands) > 15
    for command in commands:
        assert cli.main(shlex.split(command)) == 0, command
        assert capsys.readouterr().out


# ---- against streams that real QEMUs sent

STREAMS = [
    one
    for line in (ROOT / "streams" / "manifest.jsonl").read_text().splitlines()
    if "binary" not in (one := json.loads(line))
]


def without_index(name):
    return re.sub(r"\[[^\]]*\]$", "", name)


def subsections(node):
    for child in node.children:
        if child.kind == "subsection":
            yield child
        if child.nodes:
            yield from subsections(child)


def test_every_recorded_stream_has_only_what_its_release_is_said_to_have():
    devices = {device.name: device for device in known_devices(CATALOGUE) if device.rows}
    sections = 0
    for stream in STREAMS:
        release = Release.parse(stream["release"])
        for node in open_stream_file(str(ROOT / "streams" / f"{stream['name']}.mig.zst")).contents.nodes:
            name = without_index(node.name)
            device = devices.get(name) or devices.get(name.rpartition("/")[2])
            if node.kind != "section" or device is None:
                continue
            rows = [one for one in device.rows if one.description is not None and one.exists(release)]
            versions = {one.name: in_force(one.versions, release) for one in rows}
            found = {device.name: node.version_id} if node.version_id is not None else {}
            found |= {without_index(one.name): one.version_id for one in subsections(node)}
            assert found.items() <= versions.items(), (stream["name"], name)
            sections += 1
    assert sections > 1000


@pytest.mark.parametrize("name", ["7.2-default", "10.0-default", "11.1-default", "5.2-default-pseries-2.5"])
def test_the_names_of_sections_are_those_of_a_recorded_stream(name):
    stream = next(one for one in STREAMS if one["name"] == name)
    words = stream["args"]
    machine = words[words.index("-machine") + 1] if "-machine" in words else "pseries"
    recorded = [
        (item.idstr, item.instance_id, item.section_id)
        for item in open_stream_file(str(ROOT / "streams" / f"{name}.mig.zst")).stream.devices
    ]
    names = section_names(start(CATALOGUE, Release.parse(stream["release"]), machine))
    live = {"ram", "spapr/htab", "configuration"}
    assert [
        (one.idstr, one.instance_id, one.section_id) for one in names if one.sent and one.idstr not in live
    ] == [one for one in recorded if one[0] not in live]


# ---- against the QEMU that is installed


@pytest.fixture(scope="module")
def qemu():
    try:
        return find()
    except QemuNotFound as error:
        pytest.skip(str(error))


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def lines_of(pattern, *command):
    return re.findall(pattern, output(*command), re.MULTILINE)


def test_machine_types_processors_and_capabilities_are_those_of_a_real_qemu(qemu):
    facts = summarize_release(CATALOGUE, qemu.release)
    listed = lines_of(r"^(pseries-\S+) .*?(\(default\))?$", qemu.path, "-machine", "help")
    assert {name for name, _ in listed} == {one.name for one in facts.machine_types}
    assert [name for name, default in listed if default] == [facts.default_type]
    processors = lines_of(r"^PowerPC (\S+) +PVR (\w+)$", qemu.path, "-cpu", "help")
    assert {(cpu.name, f"{cpu.pvr:08x}") for cpu in facts.cpus} <= set(processors)
    models = {cpu.name for cpu in facts.cpus}
    aliases = lines_of(r"^PowerPC (\S+) +\(alias for (\S+)\)$", qemu.path, "-cpu", "help")
    shown = {(alias, cpu.name) for cpu in facts.cpus for alias in cpu.aliases}
    assert shown == {(alias, model) for alias, model in aliases if model in models}
    capabilities = lines_of(r"^  (cap-[\w-]+)=", qemu.path, "-machine", f"{facts.default_type},help")
    assert set(capabilities) == {one.name for one in facts.capabilities}


def test_fields_subsections_and_versions_are_those_of_a_real_qemu(qemu, tmp_path):
    release = qemu.release
    machine = summarize_release(CATALOGUE, release).default_type
    file = tmp_path / "vmstate.json"
    output(qemu.path, "-machine", machine, "-dump-vmstate", str(file))
    devices = {device.name: device.rows for device in known_devices(CATALOGUE) if device.rows}
    compared = 0
    for driver, dumped in json.loads(file.read_text()).items():
        real = dumped.get("Description")
        rows = devices.get(real["name"]) if real is not None else None
        if rows is None:
            continue
        inner = [one for one in rows if one.depth == 1 and one.exists(release)]
        fields = [one.name for one in inner if one.kind != "subsection"]
        parts = [one.name for one in inner if one.kind == "subsection"]
        versions = (in_force(rows[0].versions, release), in_force(rows[0].minimum_versions, release))
        assert versions == (real["version_id"], real["minimum_version_id"]), driver
        assert fields == [one["field"] for one in real.get("Fields", [])], driver
        assert parts == [one["name"] for one in real.get("Subsections", [])], driver
        compared += 1
    assert compared > 25


@pytest.mark.parametrize("machine_type", ["pseries-7.2", "pseries-4.2", "pseries-3.1", "pseries-2.7"])
def test_levels_and_default_processors_are_those_of_a_real_qemu(qemu, machine_type):
    facts = summarize_machine(CATALOGUE, machine_type, qemu.release)
    questions = [{"execute": "qmp_capabilities"}]
    for name in facts.levels:
        arguments = {"path": "/machine", "property": name}
        questions.append({"execute": "qom-get", "arguments": arguments, "id": name})
    questions += [{"execute": "query-hotpluggable-cpus", "id": "cpu"}, {"execute": "quit"}]
    done = subprocess.run(
        [qemu.path, "-machine", machine_type, "-S", "-display", "none", "-nodefaults", "-qmp", "stdio"],
        input="\n".join(map(json.dumps, questions)), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    answers = {one["id"]: one["return"] for one in map(json.loads, done.stdout.splitlines()) if "id" in one}
    assert answers.pop("cpu")[0]["type"] == f"{facts.default_cpu}-spapr-cpu-core"
    names = {True: "on", False: "off", 1 << 16: "64 KiB", 1 << 34: "as the host allows (TCG: 16 GiB)"}
    assert {name: names.get(value, value) for name, value in answers.items()} == {
        name: level for name, (_, level) in facts.levels.items()
    }


def test_capabilities_are_listed_for_all_releases_and_for_one(capsys):
    every = ask(capsys, "capability")["capabilities"]
    assert [one["name"] for one in every] == [one.property_name for one in CATALOGUE.capabilities]
    old = [one["name"] for one in ask(capsys, "capability --release 2.12")["capabilities"]]
    assert old == ["cap-htm", "cap-vsx", "cap-dfp", "cap-cfpc", "cap-sbbc", "cap-ibs"]


def test_one_capability_by_either_name(capsys):
    one, other = (ask(capsys, f"capability {name} --release 7.2") for name in ("cap-htm", "htm"))
    assert one == other
    assert (one["release"], one["capability"]["subsection"]) == ("7.2.22", "spapr/cap/htm")
    assert cli.main(["capability", "cap-dawr1", "--release", "7.2"]) == 2
    assert "releases that do: 10.0 … 11.1" in capsys.readouterr().err


def test_processors_are_listed_with_the_releases_that_have_them(capsys):
    every = {one["name"]: one for one in ask(capsys, "cpu")["processors"]}
    assert {name.lower() for r in CATALOGUE.newest for name in CATALOGUE.binary(r).cpus} == {
        n.lower() for n in every
    }
    (now,) = ask(capsys, "cpu power9")["processors"]
    (then,) = ask(capsys, "cpu power9 --release 7.2")["processors"]
    assert (now["name"], then["name"]) == ("power9_v2.2", "power9_v2.0")
    assert then["releases"] == ["7.2"]
    assert cli.main(["cpu", "powr9"]) == 2
    assert "similar names: power9" in capsys.readouterr().err
