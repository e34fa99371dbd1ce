"""Read the answers of a host's KVM, as ``vmstate.kvm.probe`` writes them down."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vmstate.dataclass import dataclass, field
from vmstate.errors import ConfigurationError

#: What KVM_CREATE_VM was asked for: what is loaded, KVM HV, KVM PR.
ANY, HV, PR = 0, 1, 2
_FACTS = ("kernel", "platform", "hypervisor", "dec-bits", "page-size", "mfpvr")
_CREATED = re.compile(r"create-vm type (\d): (.*)")
_CAPABILITY = re.compile(r"(system|vm\d) (KVM_CAP_\w+) (-?\d+)")
_CHARACTERISTICS = re.compile(r"vm\d cpu-char character (\w+)/(\w+) behaviour (\w+)/(\w+)")
_REGISTER = re.compile(r"(get|set) (\w+) (0x\w+): (.*)")
_DEVICE = re.compile(r"vm\d ((?:create|then) .*): (.*)")


@dataclass(frozen=True)
class Characteristics:
    """The answer to KVM_PPC_GET_CPU_CHAR; a bit counts only if it is in the mask."""

    character: int = 0
    character_mask: int = 0
    behaviour: int = 0
    behaviour_mask: int = 0


@dataclass(frozen=True)
class Register:
    """One access to a register of a vcpu: ``get`` or ``set``, the value, "ok" or the error."""

    verb: str
    name: str
    value: int
    said: str


@dataclass
class VirtualMachine:
    """The answers of one VM."""

    capabilities: dict[str, int] = field(default_factory=dict)
    characteristics: Characteristics = Characteristics()
    registers: list[Register] = field(default_factory=list)
    devices: dict[str, str] = field(default_factory=dict)


@dataclass
class Answers:
    """All answers of one host: facts about the machine, capabilities of the system, and its VMs by type."""

    facts: dict[str, str] = field(default_factory=dict)
    system: dict[str, int] = field(default_factory=dict)
    machines: dict[int, VirtualMachine] = field(default_factory=dict)

    def fact(self, name: str) -> str:
        """Return a fact.  Raises ConfigurationError if it was not written down."""
        try:
            return self.facts[name]
        except KeyError:
            raise ConfigurationError(f"the answers have no line {name!r}") from None


def read_answers(lines: Iterable[str]) -> Answers:
    """Read the lines.  Unknown lines are skipped.

    Raises ConfigurationError if no VM was asked for; a kernel that creates none has no ``machines``.
    """
    answers = Answers()
    asked = False
    machine = VirtualMachine()
    for line in (line.strip() for line in lines):
        name, _, text = line.partition(" ")
        if name in _FACTS:
            answers.facts[name] = text
        elif found := _CREATED.fullmatch(line):
            machine, asked = VirtualMachine(), True
            if found[2] == "ok":
                answers.machines[int(found[1])] = machine
        elif found := _CAPABILITY.fullmatch(line):
            which = answers.system if found[1] == "system" else machine.capabilities
            which[found[2].removeprefix("KVM_CAP_")] = int(found[3])
        else:
            _read_of_machine(machine, line)
    if not asked:
        raise ConfigurationError("not the answers of a KVM: no VM was asked for")
    return answers


def _read_of_machine(machine: VirtualMachine, line: str) -> None:
    if found := _CHARACTERISTICS.fullmatch(line):
        character, character_mask, behaviour, behaviour_mask = (int(text, 16) for text in found.groups())
        machine.characteristics = Characteristics(character, character_mask, behaviour, behaviour_mask)
    elif found := _REGISTER.fullmatch(line):
        machine.registers.append(Register(found[1], found[2], int(found[3], 16), found[4]))
    elif found := _DEVICE.fullmatch(line):
        machine.devices[found[1]] = found[2]


def positive(capabilities: Mapping[str, int], name: str) -> bool:
    """Return True if the kernel knows a capability and has it."""
    return capabilities.get(name, 0) > 0
