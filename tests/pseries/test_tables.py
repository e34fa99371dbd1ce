"""Tables in the form of a mail, recorded with real QEMUs: the simulator predicts every cell."""

from __future__ import annotations

import pytest

from tests.support.tables import lines, parts
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import migrate

PLAIN = "cap-htm=off"
OFF = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-vsx=off,cap-dfp=off"
SINCE_4_0 = "ic-mode=xics,cap-large-decr=off,cap-ccf-assist=off"
SINCE_10_0 = "cap-ail-mode-3=off,cap-dawr1=off"


def word(outcome: Outcome, messages: list[str]) -> str:
    """Return a verdict in the words of the tables."""
    printed = " ".join(messages)
    match outcome:
        case Outcome.ACCEPT:
            return "yes"
        case Outcome.SOURCE_REFUSED | Outcome.DESTINATION_REFUSED:
            return "-"
        case _ if "not valid for CPU" in printed:
            return "no:mode"
        case _ if "device 'cpu'" in printed:
            return "no:pvr"
        case _:
            return f"no:{printed.split('instance ')[1].split()[0].strip(chr(39))}"


def verdict(release: str, source: str, destination: str) -> str:
    common = f"qemu-{release} -nodefaults -m 256 -machine "
    found = migrate(common + source, common + destination)
    return word(found.outcome, found.messages)


HEAD, *PVR_ROWS = lines("pvr-match.txt")


@pytest.mark.parametrize("row", PVR_ROWS, ids=" to ".join)
def test_processors_whose_raw_guests_a_processor_accepts(row):
    source, destination, *expected = row

    def machine(release: str, cpu: str) -> str:
        major = int(release.split(".", maxsplit=1)[0])
        options = ["pseries", PLAIN, OFF]
        options += [SINCE_4_0] if major >= 4 else []
        options += [SINCE_10_0] if major >= 10 else []
        return ",".join(options) + f" -cpu {cpu}"

    found = [verdict(r, machine(r, source), machine(r, destination)).partition(":")[0] for r in HEAD[2:]]
    assert found == expected


@pytest.mark.parametrize(("heading", "rows"), list(parts("compat-modes.txt")), ids=lambda x: str(x[0]))
def test_modes_that_a_processor_accepts_under_a_limit(heading, rows):
    (release,) = heading
    (_, _, *destinations), *rest = rows

    def machine(cpu: str, mode: str) -> str:
        limit = "" if mode == "none" else f",max-cpu-compat={mode}"
        return f"pseries-5.2,{PLAIN},ic-mode=xics{limit} -cpu {cpu}"

    for cpu, mode, *expected in rest:
        found = [verdict(release, machine(cpu, mode), machine(*d.split("/"))) for d in destinations]
        assert (cpu, mode, found) == (cpu, mode, expected)


@pytest.mark.parametrize(("heading", "rows"), list(parts("interrupt-modes.txt")), ids=lambda x: str(x[0]))
def test_interrupt_controllers_of_source_and_destination(heading, rows):
    release, machine_type = heading
    modes = ("xics", "xive", "dual")
    for source, *expected in rows:
        found = [
            verdict(
                release, f"{machine_type},{PLAIN},ic-mode={source}", f"{machine_type},{PLAIN},ic-mode={mode}"
            )
            for mode in modes
        ]
        assert (source, found) == (source, expected)
