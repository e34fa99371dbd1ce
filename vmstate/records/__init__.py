"""Records: what each machine type of one QEMU is and sends, in a folder for git (docs/records.md)."""

from vmstate.records.judging import Judge, Judgement, judge, machine_of
from vmstate.records.record import MachineRecord, Record, changes, is_record, read_record, write_record

__all__ = [
    "Judge",
    "Judgement",
    "MachineRecord",
    "Record",
    "changes",
    "is_record",
    "judge",
    "machine_of",
    "read_record",
    "write_record",
]
