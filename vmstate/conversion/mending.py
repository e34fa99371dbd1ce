"""The table of fixes: by the rule of the check that refused, what changes a stream so that it passes."""

from __future__ import annotations

from vmstate.conversion import machine_types, memory, pci, sections, silent, values
from vmstate.conversion.problem import Fix

FIXES: dict[str, Fix] = {
    "machine-type": machine_types.machine_type,
    "capability": values.capability,
    "pvr_match": values.processor,
    "ppc_set_compat": values.compat_mode,
    "not-equal": values.constant,
    "field-failed": pci.field,
    "unknown-section": sections.unknown_section,
    "unknown-subsection": sections.unknown_subsection,
    "command-unknown": sections.unknown_command,
    "footer-missing": sections.other_size,
    "section-too-new": sections.section_version,
    "too-new": sections.description_version,
    "too-old": sections.description_version,
    "live-state-failed": memory.block,
    silent.STOPPED: silent.processor,
}
"""By the rule of the deciding check (:class:`vmstate.savevm.verdict.Check`), or of a silent one."""

LAST_RESORT: Fix = sections.reset
"""The fix for any rule: it comes after those of the table."""
