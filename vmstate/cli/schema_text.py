"""A description of a schema as text: fields, subsections, and what is known of the C structs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmstate.cli.table_text import columns
from vmstate.schema import Description, SchemaField

Paint = Callable[[str, str], str]


def description_lines(
    one: Description, label: str, paint: Paint, indent: str = "", lead: str = ""
) -> Iterator[str]:
    """Yield a description with its fields, then the structs in them and the subsections, further in."""
    head = label if label == one.name else f"{label} ({one.name})"
    yield f"{indent}{lead}{paint('bold', head)}  {', '.join(_about(one))}"
    if one.fields:
        yield from columns([_row(field) for field in one.fields], f"{indent}  ")
    inner = {id(f.vmsd): (f.name, f.vmsd) for f in one.fields if f.vmsd is not None}
    for name, vmsd in inner.values():
        yield from description_lines(vmsd, vmsd.name, paint, f"{indent}  ", f"{name} → ")
    for subsection in one.subsections:
        yield from description_lines(subsection, subsection.name, paint, f"{indent}  ", "/ ")


def _about(one: Description) -> Iterator[str]:
    yield f"version {one.version_id}"
    if one.minimum_version_id not in (None, one.version_id):
        yield f"loads from version {one.minimum_version_id} on"
    if one.conditional:
        yield "sent if needed"
    if one.unmigratable:
        yield "unmigratable"
    if one.early_setup:
        yield "early"
    if one.priority:
        yield f"priority {one.priority}"
    symbols = dict(one.facts.hooks) if one.facts is not None else {}
    if one.hooks:
        yield "hooks " + ", ".join(f"{hook} {symbols.get(hook, '')}".rstrip() for hook in one.hooks)
    if one.facts is not None and one.facts.struct_size:
        yield f"a struct of {one.facts.struct_size} bytes"


def _row(field: SchemaField) -> tuple[str, ...]:
    kind = field.kind or "?"
    if field.vmsd is not None:
        kind += f" {field.vmsd.name}"
    if field.count is not None:
        kind += f"[{field.count if field.count != '' else '?'}]"
    about = []
    if field.pointers:
        about.append("pointers")
    if isinstance(field.size, str):
        about.append(f"size from {field.size or 'what is not sent'}")
    elif field.kind in {"buffer", "unused_buffer"} and not field.must_exist:
        about.append(f"{field.size} bytes")
    if field.multiply != 1:
        about.append(f"times {field.multiply}")
    if field.must_exist:
        about.append("a check, without bytes")
    if field.version_id:
        about.append(f"from version {field.version_id} on")
    if field.conditional:
        exists = field.facts.exists if field.facts is not None else None
        about.append(f"if {exists}" if exists else "conditional")
    facts = field.facts
    place = f"at {facts.offset}" if facts is not None and facts.offset is not None else ""
    size = f"{facts.size} bytes each" if facts is not None and facts.size and field.count is not None else ""
    return (field.name, kind, place, size, ", ".join(about))
