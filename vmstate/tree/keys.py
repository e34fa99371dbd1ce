"""Arrays whose elements have keys of their own: registers by name, MSI devices by their function.

Two such arrays of unlike length are compared by key, and a path may have the key in brackets:
``cpu.cpreg_vmstate_values[SCTLR_EL1]``, ``spapr_pci.msi_devs[key=0x800]``.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmstate.describe import Node, WireArray, WireRecords
from vmstate.tree.arm_registers import register_name
from vmstate.tree.nodes import is_uniform

#: The array that has the keys of another one beside it, and the name of each key.
_BESIDE = {"cpreg_vmstate_values": ("cpreg_vmstate_indexes", register_name)}
_MEMBER = "key"


def keys_of(around: Node, node: Node) -> Mapping[str, int] | None:
    """Return the number of an array's element by its key, in order; None if the elements have no keys.

    ``around`` is the node that holds the array.  Elements are keyed only if no two keys are the same: by the
    numbers in an array beside it, or by a member of their own that is called ``key``.
    """
    keys = _from_beside(around, node) or _from_member(node)
    if keys is None:
        return None
    found = {key: index for index, key in enumerate(keys)}
    return found if len(found) == len(keys) else None


def are_keys(around: Node, node: Node) -> bool:
    """Return True if an array holds the keys of another one beside it, and nothing else."""
    names = {child.name for child in around.children}
    return any(beside == node.name and array in names for array, (beside, _) in _BESIDE.items())


def _from_beside(around: Node, node: Node) -> list[str] | None:
    if node.name not in _BESIDE or not isinstance(node.value, WireArray):
        return None
    beside, name = _BESIDE[node.name]
    numbers = next((child.value for child in around.children if child.name == beside), None)
    if not isinstance(numbers, WireArray) or len(numbers) != len(node.value):
        return None
    return [name(number & (1 << 8 * numbers.width) - 1) for number in numbers]


def _from_member(node: Node) -> list[str] | None:
    if isinstance(node.value, WireRecords):
        keyed = _MEMBER in node.value.names
        return [f"{_MEMBER}={key:#x}" for key in node.value.column(_MEMBER)] if keyed else None
    if node.kind != "array" or is_uniform(node):
        return None
    members = [child.find(_MEMBER) for child in node.children]
    if not members or not all(member is not None and isinstance(member.value, int) for member in members):
        return None
    return [f"{_MEMBER}={member.value:#x}" for member in members if member is not None]
