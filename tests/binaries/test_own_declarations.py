"""Our declarations, field by field, against what real programs have in them.

The programs' descriptions are in fixtures/schemas; where a program is at hand, it is read too.
"""

from __future__ import annotations

import pytest

from tests.support.schemas import RELEASES, real_schema
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.schema import schema_of_release
from vmstate.schema import Description, SchemaField

OF_A_FIELD = (
    *("name", "kind", "version_id", "count", "size", "multiply", "pointers", "marked", "allocated"),
    *("conditional", "must_exist", "struct_version"),
)
OF_A_DESCRIPTION = ("name", "version_id", "minimum_version_id", "unmigratable", "early_setup", "priority")

#: Differences that are none: by the path's end, with the reason.
ALLOWED = {
    "pci_bridge: priority": "the device has it, as an instance (pci_bridge.py priority)",
    "bitmap: size": "the number of bits is a constant that QEMU has in memory",
}
#: Devices that Debian does not build, or that a library describes.
NOT_BUILT = {"COLOState", "slirp"}


def differences(ours: Description, theirs: Description, path: str) -> list[str]:
    found = [
        f"{path}: {member}" for member in OF_A_DESCRIPTION if getattr(ours, member) != getattr(theirs, member)
    ]
    if [one.name for one in ours.fields] != [one.name for one in theirs.fields]:
        found.append(f"{path}: fields")
    else:
        for one, other in zip(ours.fields, theirs.fields, strict=True):
            found += of_a_field(one, other, f"{path}.{one.name}")
    if [one.name for one in ours.subsections] != [one.name for one in theirs.subsections]:
        return [*found, f"{path}: subsections"]
    for one, other in zip(ours.subsections, theirs.subsections, strict=True):
        inner = f"{path}/{one.name}"
        found += [f"{inner}: needed"] * (one.conditional != other.conditional)
        found += differences(one, other, inner)
    return found


def of_a_field(ours: SchemaField, theirs: SchemaField, path: str) -> list[str]:
    found = [f"{path}: {m}" for m in OF_A_FIELD if differs(m, getattr(ours, m), getattr(theirs, m))]
    for member in ("vmsd", "key"):
        one, other = getattr(ours, member), getattr(theirs, member)
        if one is None or other is None:
            found += [f"{path}: {member}"] * (one is not other)
        else:
            found += differences(one, other, path)
    return found


def differs(member: str, ours: object, theirs: object) -> bool:
    if member == "size" and None in {ours, theirs}:
        return False  # a type of the device's own: only its code knows
    if member == "allocated" and theirs:
        return False  # ours says whether a large count fails there, which it does not from 11.1 on
    return ours != theirs


def compared(release: str, schema):
    """Yield each declared device with its differences from the description that is nearest to it."""
    named: dict[str, list[Description]] = {}
    for one in schema.descriptions.values():
        named.setdefault(one.name, []).append(one)
    for label, ours in schema_of_release(CATALOGUE.release(release)).descriptions.items():
        if not ours.opaque:
            yield (
                label,
                min(
                    (differences(ours, one, label) for one in named.get(ours.name, ())), key=len, default=None
                ),
            )


@pytest.mark.parametrize("release", RELEASES)
def test_every_declaration_is_what_the_program_has(release):
    rows = list(compared(release, real_schema(release)))
    wrong = {line for _, found in rows for line in found or ()}
    assert {line for line in wrong if not line.endswith(tuple(ALLOWED))} == set()
    absent = {label for label, found in rows if found is None}
    since = {"5.2": {"spapr_watchdog"}}
    assert absent == NOT_BUILT | since.get(release, set())
    assert len(rows) > 40


@pytest.mark.parametrize("release", RELEASES)
def test_every_allowance_is_used(release):
    lines = [line for _, found in compared(release, real_schema(release)) for line in found or ()]
    assert [end for end in ALLOWED if not any(line.endswith(end) for line in lines)] == []


def test_a_difference_in_any_member_is_seen():
    """The comparison itself: no two of the many descriptions of a program are taken for equal."""
    from dataclasses import replace

    one = real_schema("7.2").descriptions["spapr_pci"]
    assert differences(one, one, "") == []
    changed = {
        "kind": "uint8",
        "version_id": 9,
        "count": 7,
        "size": 77,
        "multiply": 3,
        "pointers": True,
        "marked": True,
        "conditional": True,
        "must_exist": True,
        "struct_version": 2,
        "vmsd": one,
        "key": one,
    }
    for member, value in changed.items():
        other = replace(one, fields=(replace(one.fields[0], **{member: value}), *one.fields[1:]))
        assert differences(other, one, "x")[0] == f"x.{one.fields[0].name}: {member}"
    assert differences(replace(one, fields=one.fields[1:]), one, "x") == ["x: fields"]
    assert differences(replace(one, subsections=(one,)), one, "x") == ["x: subsections"]


@pytest.mark.qemu
def test_a_program_at_hand_has_our_declarations():
    from vmstate.binaries import schema_of_binary
    from vmstate.qemu import QemuNotFound, find

    try:
        path = find().path
    except QemuNotFound as error:
        pytest.skip(str(error))
    schema, _ = schema_of_binary(path)
    release = ".".join((schema.qemu or "0.0").split(".")[:2])
    if release not in RELEASES:
        pytest.skip(f"QEMU {schema.qemu} is not one that was compared")
    wrong = {line for _, found in compared(release, schema) for line in found or ()}
    assert {line for line in wrong if not line.endswith(tuple(ALLOWED))} == set()
