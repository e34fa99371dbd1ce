"""Records: what each machine type of one QEMU is and sends, in a folder for git (docs/records.md)."""

from vmstate.records.judging import judge
from vmstate.records.record import MachineRecord, Record, changes, is_record, read_record, write_record

__all__ = ["MachineRecord", "Record", "changes", "is_record", "judge", "read_record", "write_record"]
