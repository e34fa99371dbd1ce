"""The rules: a stable id, a category, a severity, why it matters, and what to do."""

from __future__ import annotations

from enum import StrEnum

from vmstate.dataclass import dataclass
from vmstate.errors import Severity


class Category(StrEnum):
    """The strictness of a rule.

    WIRE: the bytes differ.  LOAD: the destination rejects, or may.  SEMANTIC: it loads, with another meaning.
    STYLE: nothing breaks today.
    """

    WIRE = "WIRE"
    LOAD = "LOAD"
    SEMANTIC = "SEMANTIC"
    STYLE = "STYLE"


@dataclass(frozen=True)
class Rule:
    """A rule: its id, category, severity unless a policy changes it, why it matters, what to do."""

    id: str
    category: Category
    severity: Severity
    why: str
    remedy: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_WIRE, _LOAD, _SEMANTIC, _STYLE = Category

_COMPARED = (
    # ---- the bytes differ
    Rule("field.removed", _WIRE, _E, "The destination takes the bytes of this field for those behind it.",
         "Keep the bytes with VMSTATE_UNUSED, or send the field only for old types (VMSTATE_*_TEST)."),
    Rule("field.added", _WIRE, _E, "The destination reads bytes that the source does not send.",
         "Put the field into a subsection with a needed function, which old machine types turn off."),
    Rule("field.size", _WIRE, _E, "Everything behind the field is read from the wrong place.",
         "Keep the size on the wire: send a field of the old type, and convert in pre_save and post_load."),
    Rule("array.length", _WIRE, _E, "Everything behind the array is read from the wrong place.",
         "Send the further elements in a subsection, or keep the old number for old machine types."),
    Rule("layout.differs", _WIRE, _E, "The destination takes the bytes for something else.",
         "Keep the layout of old machine types."),
    Rule("field.conditional", _WIRE, _W,
         "Only one side has this field, and sends it under a condition in C code: whether the condition is "
         "ever true was not compared.", "Make sure that it is false for machine types of the other side."),
    Rule("condition.changed", _WIRE, _W,
         "One side always has the field, the other under a condition in C code.",
         "Make sure that the condition is true for every machine type that both sides have."),
    Rule("array.sent", _WIRE, _W,
         "Two streams have another number of elements; a stream does not say if the number is fixed.",
         "Compare with the descriptions of the program instead."),
    # ---- the destination rejects
    Rule("version.too-new", _LOAD, _E, "The destination refuses a section that is newer than it knows.",
         "Do not raise version_id: put new state into a subsection."),
    Rule("version.too-old", _LOAD, _E, "The destination refuses a section below its minimum_version_id.",
         "Lower minimum_version_id, and read the old versions."),
    Rule("version.needless", _LOAD, _E,
         "The version was raised, but the bytes are the same: it only stops migration to the older release.",
         "Set version_id back."),
    Rule("subsection.unknown", _LOAD, _W,
         "The destination refuses the subsection whenever the source needs it; when that is, is C code.",
         "Make sure that needed is false for machine types of the other release unless the guest uses it."),
    Rule("subsection.always", _LOAD, _E,
         "The source always sends this subsection, and the destination refuses it.",
         "Give the subsection a needed function that is false for old machine types."),
    Rule("subsection.prefix", _LOAD, _E,
         "QEMU finds a subsection by its name, which must begin with the name of its description; on the "
         "destination that has another name.", "Keep the name of the description."),
    Rule("device.missing", _LOAD, _E, "The destination has no such section, and refuses the stream.",
         "Keep the section, or stop sending it for the machine type."),
    Rule("device.idstr", _LOAD, _E,
         "The name of the description is the section's in the stream; the destination does not find it.",
         "Keep the old name."),
    Rule("device.unmigratable", _LOAD, _W, "A guest with this device cannot migrate from this side.",
         "Describe the device's state."),
    Rule("check.added", _LOAD, _E,
         "The destination compares the value with its own, and refuses another one; the source does not.",
         "Compare in post_load, and only where it matters; an EQUAL field cannot be relaxed later."),
    # ---- it loads, with another meaning
    Rule("type.regrouped", _SEMANTIC, _E, "The same bytes are numbers of another width on the other side.",
         "Keep the type on the wire, and convert in post_load."),
    Rule("type.changed", _SEMANTIC, _W, "The same bytes are another type: some values mean something else.",
         "Make sure that no value differs, such as a negative one."),
    Rule("fields.swapped", _SEMANTIC, _E,
         "The same fields come in another order: each is loaded into the other one.", "Keep the order."),
    Rule("count.source", _SEMANTIC, _E, "The number of elements comes from another field.",
         "Keep the field that counts them."),
    Rule("value.zeroed", _SEMANTIC, _W, "The destination reads zeros where the source has unused bytes.",
         "Make sure that zero is a good value, or set the field in post_load."),
    Rule("value.dropped", _SEMANTIC, _I, "The destination ignores the value.",
         "Make sure that the value is not needed, or can be derived."),
    Rule("field.skipped", _SEMANTIC, _W,
         "The field needs a newer version than the source sends: it keeps the value that it had after reset.",
         "Make sure that post_load gives it a value for old versions."),
    Rule("device.reset", _SEMANTIC, _I,
         "The source does not send this section: the device keeps its state after reset.",
         "Make sure that a guest cannot notice."),
    Rule("compat.version", _SEMANTIC, _W,
         "The new release sets the property for old types, but not for the newest type of the old release: "
         "that may differ between both.", "Move it to the list of the newest type of the old release."),
    Rule("device.early", _SEMANTIC, _W, "One side sends the section while the migration is set up.",
         "Keep early_setup for old machine types."),
    # ---- nothing breaks
    Rule("check.dropped", _STYLE, _I, "The destination no longer compares the value with its own.", ""),
    Rule("field.renamed", _STYLE, _I, "Names of fields are not on the wire.", ""),
    Rule("description.renamed", _STYLE, _I, "The name of an inner description is not on the wire.", ""),
    Rule("device.renamed", _STYLE, _I, "The name of a device type is not in the stream.", ""),
    Rule("device.one-sided", _STYLE, _I, "Harmless, unless a machine has the device.", ""),
    Rule("version.nested", _STYLE, _I,
         "The version of an inner description is not on the wire; its fields were compared.", ""),
    Rule("version.window", _STYLE, _I, "The oldest version that is accepted differs.", ""),
    Rule("subsection.only-read", _STYLE, _I, "The source never sends the subsection.", ""),
    Rule("condition.renamed", _STYLE, _I, "The condition has another name; its code was not compared.", ""),
    Rule("priority.changed", _STYLE, _I, "The section has another place in the stream.", ""),
    Rule("machine.differs", _STYLE, _I, "Devices and sections may differ for that reason.", ""),
    # ---- what was not compared
    Rule("not-compared.description", _WIRE, _E, "Nothing is known of the bytes on one side.",
         "Compare with a source that has the description."),
    Rule("not-compared.field", _WIRE, _W, "One side does not tell what the other side has.",
         "Compare the programs, or schemas made from them."),
    Rule("not-compared.by-hand", _STYLE, _I, "C code writes and reads these bytes.", ""),
    Rule("not-compared.types", _STYLE, _I, "A source without types cannot show that a type changed.", ""),
    Rule("not-compared.conditions", _STYLE, _I, "Conditions are C code.", ""),
    Rule("not-compared.hooks", _STYLE, _I, "Hooks are C code.", ""),
    Rule("not-compared.versions", _STYLE, _I, "The source does not know minimum versions.", ""),
    Rule("not-compared.unsent", _STYLE, _I, "A stream has only what one state needs.", ""),
    Rule("not-compared.source", _STYLE, _W, "A part of the source could not be read.", ""),
)  # fmt: skip

_LINTED = (
    Rule("lint.equal", _LOAD, _W, "An EQUAL field refuses streams for what may be an implementation detail.",
         "Compare in post_load, and only for the machine types where it matters."),
    Rule("lint.version.bumped", _LOAD, _W,
         "The version was raised for these fields: an older release refuses every stream.",
         "Put new state into a subsection with a needed function."),
    Rule("lint.version.needless", _STYLE, _W, "No field needs the newest version.", "Set version_id back."),
    Rule("lint.version.window", _LOAD, _E, "No stream is accepted: the minimum is above the version.",
         "Lower minimum_version_id."),
    Rule("lint.field.never-sent", _WIRE, _E, "The field needs a version above that of its description.",
         "Raise version_id, or lower the version of the field."),
    Rule("lint.subsection.duplicate", _LOAD, _E,
         "Two subsections have one name: the destination always loads the first.", "Rename one of them."),
    Rule("lint.subsection.orphan", _SEMANTIC, _W,
         "It is named like a subsection, but no description has it: its state is not sent.",
         "List it; a second initialiser of .subsections replaces the first."),
    Rule("lint.subsection.prefix", _LOAD, _E,
         "QEMU finds a subsection only if its name begins with that of its description.", "Rename it."),
    Rule("lint.subsection.unneeded", _LOAD, _W,
         "A subsection without needed is always sent: an older release refuses it.",
         "Give it a needed function."),
    Rule("lint.pointer.array", _SEMANTIC, _E,
         "The array reaches over the members behind it: it looks like a pointer declared as an array.",
         "Use the macro for pointers."),
    Rule("lint.memory.overlap", _SEMANTIC, _E, "Loading the field overwrites another one.",
         "Correct the number of elements, or the type."),
    Rule("lint.memory.beyond", _SEMANTIC, _E, "Loading the field writes behind the end of the struct.",
         "Correct the number of elements, or the type."),
    Rule("lint.memory.twice", _SEMANTIC, _W, "The same member is sent twice.", "Send it once."),
    Rule("lint.size.unsent", _SEMANTIC, _I,
         "The number of elements or bytes is not sent: both sides must have the same one.",
         "Send the number in front, and check it."),
    Rule("lint.size.late", _WIRE, _E, "The number of elements is read only after them.",
         "Put the number in front of the array."),
    Rule("lint.size.signed", _SEMANTIC, _W, "The number comes from the stream as a signed one.",
         "Check it, or use an unsigned type."),
    Rule("lint.state.twice", _SEMANTIC, _W, "The state is in two sections: the later one wins.",
         "Send it once."),
    Rule("lint.capability.unsent", _LOAD, _E,
         "The capability has no subsection: a destination with another level is not found out.",
         "Add the capability's description to the subsections of spapr."),
    Rule("lint.struct.undescribed", _SEMANTIC, _E, "A struct without description has no fields.",
         "Give the field its vmsd."),
    Rule("lint.description.empty", _SEMANTIC, _W, "The description sends nothing.",
         "List the fields, and end the list with VMSTATE_END_OF_LIST()."),
    Rule("lint.not-read", _STYLE, _W, "A part of the source could not be read, and was not linted.", ""),
)  # fmt: skip

_BUMPED = (
    Rule("bump.rejected", _LOAD, _E, "A real QEMU rejected a stream of the other one.",
         "See the issues of the section that is named, and the remedies below."),
    Rule("bump.rejected-by-record", _LOAD, _E, "The recorded old QEMU does not take a stream of the new one.",
         "See the issues of the section that is named; `vmstate load --on RECORD` judges it again."),
    Rule("bump.stuck", _LOAD, _E, "A guest that came over to the new QEMU cannot go back.",
         "Restart the guest with the property that frees it, or repair the new release."),
    Rule("bump.simulated", _LOAD, _E, "The simulator predicts that the destination rejects the stream.",
         "See the remedies below; `vmstate migrate` shows one such pair in full."),
    Rule("bump.disagrees", _SEMANTIC, _E, "A prediction is not what a real QEMU does: one of them is wrong.",
         "Report it, with both command lines."),
    Rule("bump.warns", _STYLE, _W,
         "The destination accepts, but prints a line that it does not print for its own streams.",
         "Make sure that users need not act on it."),
    Rule("bump.not-started", _LOAD, _W, "A machine does not start or is not migrated: nothing was replayed.",
         "Give it what it lacks, or leave it out with --machine."),
    Rule("bump.machine-gone", _LOAD, _W, "Guests of this machine type cannot move to the new release.",
         "Announce it: users must change the type first."),
    Rule("bump.nothing-common", _LOAD, _E, "There is nothing to migrate between the two.",
         "Choose releases that share a machine type."),
    Rule("bump.not-judged", _STYLE, _I, "The simulator does not model it.", ""),
)  # fmt: skip

RULES: dict[str, Rule] = {rule.id: rule for rule in (*_COMPARED, *_LINTED, *_BUMPED)}
