"""Changes that QEMU's own checker takes for harmless, or harmless ones that it reports, judged rightly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vmstate.compatibility import RULES, Direction, compare
from vmstate.errors import Severity
from vmstate.front.schemas import schema_of
from vmstate.schema import Description, FieldFacts, Knows, Origin, Schema, SchemaField

FORWARD, BACKWARD = Direction


def u32(name, **more):
    return SchemaField(name, "uint32", size=4, **more)


def dev(*fields, version=1, oldest=1, subsections=(), **more):
    return Description("dev", version, oldest, fields, tuple(subsections), **more)


def sub(name="dev/more", *, conditional=True):
    return Description(name, 1, 1, (u32("late"),), conditional=conditional)


def schema(*descriptions, knows=frozenset(Knows) - {Knows.MEMORY}, origin=Origin.DECLARATIONS):
    return Schema("probe", origin, {one.name: one for one in descriptions}, knows)


def issues(old, new, direction=FORWARD):
    old, new = (side if isinstance(side, Schema) else schema(side) for side in (old, new))
    found = compare(old, new, [direction]).issues
    return {i.rule: i for i in found if not i.rule.startswith("not-compared")}


def test_a_field_appended_at_the_end_breaks():
    found = issues(dev(u32("a")), dev(u32("a"), u32("b")))
    assert found["field.added"].path == "dev.b"
    assert RULES["field.added"].severity is Severity.ERROR


def test_a_source_without_fields_breaks_a_destination_that_has_some():
    assert "field.added" in issues(dev(), dev(u32("a")))


def test_another_number_of_elements_breaks():
    found = issues(dev(u32("a", count=4)), dev(u32("a", count=5)))
    assert (found["array.length"].old, found["array.length"].new) == ("uint32[4]", "uint32[5]")


def test_another_type_of_the_same_size_is_reported():
    old, new = dev(SchemaField("a", "int32", size=4)), dev(SchemaField("a", "int32 le", size=4))
    assert "check.added" in issues(old, new)
    assert "check.dropped" in issues(new, old)
    assert "type.changed" in issues(old, dev(u32("a")))


def test_a_field_that_needs_a_newer_version_than_the_source_sends_is_reported():
    old = dev(u32("a"))
    new = dev(u32("a"), u32("b", version_id=2), version=2)
    assert issues(old, new)["field.skipped"].path == "dev.b"
    assert "version.too-new" in issues(old, new, BACKWARD)


def test_a_condition_that_one_side_has_is_flagged():
    old, new = dev(u32("a"), u32("b")), dev(u32("a"), u32("b", conditional=True))
    assert issues(old, new)["condition.changed"].path == "dev.b"
    assert "condition.changed" in issues(old, new, BACKWARD)


def test_a_minimum_above_the_sources_version_breaks():
    assert "version.too-old" in issues(dev(u32("a")), dev(u32("a"), version=2, oldest=2))


def test_a_struct_in_place_of_a_plain_field_depends_on_its_bytes():
    small = Description("inner", 1, 1, (SchemaField("x", "uint16", size=2),))
    same = Description("inner", 1, 1, (u32("a"),))
    plain = dev(u32("a"))
    assert issues(plain, dev(SchemaField("a", "struct", vmsd=same))) == {}
    assert RULES[next(iter(issues(plain, dev(SchemaField("a", "struct", vmsd=small)))))].severity == "error"


def test_a_rename_is_harmless():
    found = issues(dev(u32("a"), u32("b")), dev(u32("a"), u32("c")))
    assert set(found) == {"field.renamed"}
    assert RULES["field.renamed"].severity is Severity.INFO


def test_two_names_in_another_order_are_no_renames():
    found = issues(dev(u32("a"), u32("b")), dev(u32("b"), u32("a")))
    assert set(found) == {"fields.swapped"}


def test_structs_of_one_type_in_another_order_are_found():
    ring = Description("ring", 1, 1, (u32("x"),))
    rx, tx = SchemaField("rx", "struct", vmsd=ring), SchemaField("tx", "struct", vmsd=ring)
    assert "fields.swapped" in issues(dev(rx, tx), dev(tx, rx))


def test_a_device_that_one_side_lacks_is_harmless_unless_a_machine_has_it():
    old, new = schema(dev(u32("a"))), schema(replace(dev(u32("a")), name="other"))
    assert set(issues(old, new)) == {"device.one-sided"}
    used = compare(old, new, [FORWARD], frozenset({"dev"})).issues
    assert "device.missing" in {i.rule for i in used}
    sent = replace(old, origin=Origin.STREAM, knows=frozenset({Knows.TYPES, Knows.SECTIONS}))
    assert "device.missing" in issues(sent, new)


def test_an_obsolete_subsection_that_is_removed_is_no_error():
    found = issues(dev(u32("a"), subsections=[sub()]), dev(u32("a")))
    assert set(found) == {"subsection.unknown"}
    assert RULES["subsection.unknown"].severity is Severity.WARNING


def test_a_subsection_that_is_always_sent_is_an_error():
    assert "subsection.always" in issues(dev(subsections=[sub(conditional=False)]), dev())


def test_the_version_of_an_inner_description_is_not_on_the_wire_but_its_fields_are():
    one = Description("inner", 1, 1, (u32("x"),))
    bumped = replace(one, version_id=2)
    more = replace(bumped, fields=(u32("x"), u32("y", version_id=2)))
    old, same, new = (dev(SchemaField("s", "struct", vmsd=vmsd)) for vmsd in (one, bumped, more))
    assert set(issues(old, same)) == {"version.nested"}
    found = issues(old, new)
    assert found["field.added"].path == "inner.y"
    assert found["field.added"].within == ("dev",)


def test_a_version_raised_for_nothing_is_named():
    assert "version.needless" in issues(dev(u32("a")), dev(u32("a"), version=2), BACKWARD)


def test_a_renamed_description_is_a_section_that_is_not_found():
    old, new = (
        replace(schema(one), origin=Origin.DUMP, descriptions={"card": one})
        for one in (dev(u32("a")), replace(dev(u32("a")), name="new"))
    )
    assert "device.idstr" in issues(old, new)


def test_unused_bytes_in_place_of_a_field_lose_its_value_one_way():
    old, new = dev(u32("a")), dev(SchemaField("unused", "unused_buffer", size=4))
    assert "value.dropped" in issues(old, new)
    assert "value.zeroed" in issues(old, new, BACKWARD)


def test_bytes_of_a_buffer_are_an_array_of_bytes():
    array = dev(SchemaField("a", "uint8", size=1, count=4))
    assert issues(dev(SchemaField("a", "buffer", size=4)), array) == {}


def test_a_number_from_another_field_is_another_meaning():
    def counted(by):
        return dev(SchemaField("n", "uint8", size=1), SchemaField("m", "uint8", size=1), u32("a", count=by))

    assert set(issues(counted("n"), counted("m"))) == {"count.source"}


def test_the_second_of_two_subsections_of_one_name_is_compared_with_the_second():
    twins = [sub("dev/x"), replace(sub("dev/x"), fields=(SchemaField("other", "uint8", size=1),))]
    both = dev(subsections=twins)
    assert issues(both, both) == {}
    assert set(issues(both, dev(subsections=twins[:1]))) == {"subsection.unknown"}


def test_what_could_not_be_compared_is_said():
    hidden = schema(Description("dev", 1, opaque=True))
    found = compare(hidden, schema(dev(u32("a"))), [FORWARD]).issues
    assert {"not-compared.description"} == {i.rule for i in found if RULES[i.rule].severity == "error"}
    by_hand = dev(SchemaField("x", "avr"), hooks=("post_load",), conditional=True)
    rules = {i.rule for i in compare(schema(by_hand), schema(by_hand), [FORWARD]).issues}
    assert {"not-compared.by-hand", "not-compared.hooks", "not-compared.conditions"} == rules


def test_a_stream_is_compared_with_declarations_without_false_alarms(tmp_path):
    """Counted arrays, fields under conditions, and subsections that were not needed are no differences."""
    declared = dev(
        SchemaField("n", "uint8", size=1),
        u32("table", count="n"),
        u32("maybe", conditional=True),
        u32("last"),
        subsections=[sub()],
    )
    fields = [
        {"name": "n", "type": "uint8", "size": 1},
        {"name": "table", "array_len": 7, "type": "uint32", "size": 4},
        {"name": "last", "type": "uint32", "size": 4},
    ]
    entry = {"name": "dev", "instance_id": 0, "vmsd_name": "dev", "version": 1, "fields": fields}
    path = tmp_path / "vmdesc.json"
    path.write_text(json.dumps({"devices": [entry]}))
    assert issues(schema_of(str(path)), schema(declared)) == {}
    entry["fields"] = [*fields, {"name": "new", "type": "uint32", "size": 4}]
    path.write_text(json.dumps({"devices": [entry]}))
    assert set(issues(schema_of(str(path)), schema(declared))) == {"field.removed"}


# ---- dumps of QEMU's -dump-vmstate: one change of each kind that QEMU's test data has


def dump(**sections):
    return {"vmschkmachine": {"Name": "toy"}, **sections}


def section(name, *fields, version=1, oldest=1, subsections=()):
    described = {"name": name, "version_id": version, "minimum_version_id": oldest, "Fields": list(fields)}
    if subsections:
        described["Subsections"] = list(subsections)
    return {"Name": name, "version_id": version, "minimum_version_id": oldest, "Description": described}


def field(name, size=4, **more):
    return {"field": name, "version_id": 0, "field_exists": False, "size": size, **more}


def inner(name, *fields, version=1):
    return {"name": name, "version_id": version, "minimum_version_id": 1, "Fields": list(fields)}


MEDIA = inner("floppy/media", field("rate", 1))
KEYS = [field("keycodes", 4), field("head"), field("n")]
OLD = section("toy", field("a"), field("b"))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (OLD, None, "device.one-sided"),
        (OLD, section("toy", field("a"), field("b"), version=2), "version.needless"),
        (section("toy", field("a"), field("sts"), field("b")), OLD, "field.removed"),
        (OLD, {**OLD, "Description": inner("toy")}, "field.removed"),
        (
            section("toy", field("pci", 276, Description=inner("PCI", field("config", 256)))),
            section("toy", field("pci", 1944)),
            "field.size",
        ),
        (OLD, {key: OLD[key] for key in OLD if key != "Description"}, "not-compared.description"),
        (OLD, section("toy", field("a")), "field.removed"),
        (OLD, section("toy", field("a"), field("b"), version=3, oldest=2), "version.too-old"),
        (
            section("toy", field("a"), subsections=[inner("toy/rcr")]),
            section("toy", field("a")),
            "subsection.unknown",
        ),
        (OLD, section("toy2", field("a"), field("b")), "device.idstr"),
        (
            section("toy", field("s", Description=inner("fd", field("x"), version=2))),
            section("toy", field("s", Description=inner("fd", field("x")))),
            "version.nested",
        ),
        (
            section("toy", field("d", Description={**inner("floppy", field("x")), "Subsections": [MEDIA]})),
            section("toy", field("d", Description=inner("floppy", field("x")))),
            "subsection.unknown",
        ),
        (
            section("toy", *KEYS),
            section("toy", field("hid", 312, Description=inner("HID", field("keycodes", 2), *KEYS[1:]))),
            "field.size",
        ),
    ],
)  # fmt: skip
def test_each_kind_of_break_in_qemus_own_test_data_is_found(old, new, rule, tmp_path):
    paths = []
    for name, one in (("old", old), ("new", new)):
        paths.append(tmp_path / f"{name}.json")
        sections = {} if one is None else {"toy": one}
        paths[-1].write_text(json.dumps(dump(other=section("other", field("x")), **sections)))
    # The last but one side is newer where the version was raised, so both directions are looked at.
    found = compare(*(schema_of(str(path)) for path in paths)).issues
    assert rule in {issue.rule for issue in found}


def test_a_dump_without_types_says_that_a_changed_type_is_not_found(tmp_path):
    path = tmp_path / "dump.json"
    path.write_text(json.dumps(dump(toy=OLD)))
    one = schema_of(str(path))
    assert "not-compared.types" in {issue.rule for issue in compare(one, one).issues}


def test_a_struct_that_was_taken_apart_is_not_twelve_breaks(tmp_path):
    paths = []
    hid = field("hid", 312, Description=inner("HID", field("keycodes", 2), *KEYS[1:]))
    for name, one in (("old", section("toy", *KEYS)), ("new", section("toy", hid))):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(dump(toy=one)))
    found = compare(*(schema_of(str(path)) for path in paths)).issues
    assert [i.path for i in found if RULES[i.rule].severity == "error"] == ["toy.keycodes"]


def test_a_binary_and_a_dump_agree_about_the_same_fields():
    c_facts = FieldFacts(size=4)
    typed = dev(SchemaField("a", "uint32", size=4, facts=c_facts), SchemaField("v", "buffer", size="n"))
    untyped = dev(SchemaField("a", None, facts=c_facts), SchemaField("v", None, facts=FieldFacts(size=0)))
    known = frozenset({Knows.VERSIONS, Knows.UNSENT, Knows.CONDITIONS})
    found = issues(schema(typed), schema(untyped, knows=known, origin=Origin.DUMP))
    assert {rule for rule in found if RULES[rule].severity == "error"} == set()


def test_a_compat_property_in_the_list_of_the_wrong_machine_version_is_found():
    """As with USO: it was turned off for types before 8.1, but the release with 8.1 did not have it."""
    uso = ("virtio-net", "guest_uso4", "off")
    old = replace(schema(dev(u32("a"))), machines={"m-8.1": (), "m-8.0": ()})
    wrong = replace(old, machines={"m-8.2": (), "m-8.1": (), "m-8.0": (uso,)})
    right = replace(old, machines={"m-8.2": (), "m-8.1": (uso,), "m-8.0": (uso,)})
    assert issues(old, wrong)["compat.version"].path == "virtio-net.guest_uso4"
    assert issues(old, right) == {}
