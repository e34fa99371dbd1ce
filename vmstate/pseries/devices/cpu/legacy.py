"""The flag words inside ``cpu`` with which machine types up to 2.7 describe the processor.

target/ppc/machine.c cpu_pre_save, from 2.8 to 9.1: the words that 2.7 compared, masked to what 2.7 knew.
Families are distinguished by the newest ISA that they implement.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.describe.history import History, Release

_TLBIE = 0x20000000
_LWSYNC = 0x200000

#: POWER9 lost one flag that 2.7 expects; a fix sets it for every processor.
_LOST_ON_POWER9 = History(0, ("2.10", _TLBIE), (("2.11.2", "2.12.1", "3.0"), 0))
#: A new flag that was not masked out.
_ADDED = History(0, ("7.1", _LWSYNC))
_POWER5P_FLAGS = History(0x0000600FE0DD2221, ("7.0", 0x0000600FE0DF3221))


@dataclass(frozen=True)
class LegacyWords:
    """The words as they are sent: MSR bits, two instruction flag words, block address translations."""

    msr_mask: int
    insns_flags: int
    insns_flags2: int
    bats: int = 0


def legacy_words(isa: int, release: Release) -> LegacyWords:
    """Return the words for a processor of an ISA level in a release."""
    if isa < 206:
        flags = 0x0000600FE1DD2221 if isa < 203 else _POWER5P_FLAGS.at(release)
        return LegacyWords(0x800000000204FF36, flags, 0x10000 | _ADDED.at(release), 4)
    flags = 0x8000600FE1FF3A61
    if isa < 207:
        return LegacyWords(0x800000000280FF37, flags, 0x10FB6 | _ADDED.at(release))
    if isa >= 300:
        flags &= ~_LOST_ON_POWER9.at(release)
    return LegacyWords(0x800000010280FF37, flags, 0x3FFF6 | _ADDED.at(release))
