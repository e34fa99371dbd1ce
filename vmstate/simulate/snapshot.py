"""The state of a graph of objects at one time, to be put back later.

The objects stay the same ones; nothing is copied but the references that each of them holds.
"""

from __future__ import annotations

import gc
import struct
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any

_MANAGED_BUFFER = type(gc.get_referents(memoryview(b""))[0])
#: Objects of these types never change, and refer to nothing that does.
_VALUES = (
    int, float, str, bytes, bool, type(None), range, Enum, type, CodeType, ModuleType, struct.Struct,
)  # fmt: skip
#: These never change either, but what they refer to may.
_HOLDERS = (
    tuple, frozenset, FunctionType, BuiltinFunctionType, MethodType, MappingProxyType, partial, memoryview,
    _MANAGED_BUFFER,
)  # fmt: skip
#: The classes in C of which all that an object holds can be seen and set.
_OPEN = (object, SimpleNamespace, dict, list, set, bytearray, CellType)
_IN_C = (MethodDescriptorType, WrapperDescriptorType)


class CannotBeRestored(Exception):
    """An object may hold something that cannot be seen, or not be put back; the message is its type."""


class Snapshot:
    """The state of the objects that ``roots`` lead to.

    Those that are ``constant`` are left out, and with them what only they lead to.

    Raises CannotBeRestored for an object that is neither a value, nor one of Python's containers, nor made of
    attributes and slots: an iterator, a generator, a file; also for a slot that is not set.
    """

    def __init__(self, roots: Iterable[object], constant: Callable[[object], bool]) -> None:
        self._dicts: dict[int, tuple[dict[Any, Any], dict[Any, Any]]] = {}
        self._sequences: list[tuple[Any, Any]] = []
        self._sets: list[tuple[set[Any], set[Any]]] = []
        self._slots: list[tuple[MemberDescriptorType, object, Any]] = []
        self._cells: list[tuple[CellType, Any]] = []
        for one in reachable(roots, constant):
            self._keep(one)

    def restore(self) -> None:
        """Put all objects back into that state."""
        for names, values in self._dicts.values():
            dict.clear(names)
            dict.update(names, values)
        for sequence, items in self._sequences:
            sequence[:] = items
        for members, kept in self._sets:
            members.clear()
            members.update(kept)
        for slot, owner, value in self._slots:
            slot.__set__(owner, value)
        for cell, content in self._cells:
            cell.cell_contents = content

    def _keep(self, one: object) -> None:
        if isinstance(one, _HOLDERS):
            return
        if type(one) not in _slots:
            _slots[type(one)] = _slots_of(type(one))
        attributes = getattr(one, "__dict__", None)
        if type(attributes) is dict:
            self._keep_dict(attributes)
        self._slots += [(slot, one, _value(slot, one)) for slot in _slots[type(one)]]
        if isinstance(one, dict):
            self._keep_dict(one)
        elif isinstance(one, list):
            self._sequences.append((one, list(one)))
        elif isinstance(one, bytearray):
            self._sequences.append((one, bytes(one)))
        elif isinstance(one, set):
            self._sets.append((one, set(one)))
        elif isinstance(one, CellType):
            self._cells.append((one, one.cell_contents))

    def _keep_dict(self, one: dict[Any, Any]) -> None:
        self._dicts[id(one)] = one, dict(one)


def reachable(roots: Iterable[object], constant: Callable[[object], bool]) -> list[object]:
    """Return the objects that ``roots`` lead to, each once, but no values and none that are ``constant``."""
    found: dict[int, object] = {}
    todo = list(roots)
    while todo:
        one = todo.pop()
        if id(one) in found or isinstance(one, _VALUES) or constant(one):
            continue
        found[id(one)] = one
        if isinstance(one, FunctionType):  # its globals are not its own
            todo += (one.__closure__, one.__defaults__, one.__kwdefaults__)
        else:
            todo += gc.get_referents(one)
    return list(found.values())


#: Of each class that was seen, the slots that a snapshot keeps.
_slots: dict[type, list[MemberDescriptorType]] = {}


def _slots_of(kind: type) -> list[MemberDescriptorType]:
    """Return the slots of a class that can change.

    Raises CannotBeRestored for a class that is written in C, or a base of it is: its objects may hold more.
    """
    bases = [vars(base) for base in kind.__mro__ if base not in _OPEN]
    if any(isinstance(one, _IN_C) for base in bases for one in base.values()):
        raise CannotBeRestored(kind.__qualname__)
    if any("__setattr__" in base for base in bases):  # frozen
        return []
    own = (base.values() for base in bases if "__slots__" in base)
    return [one for each in own for one in each if isinstance(one, MemberDescriptorType)]


def _value(slot: MemberDescriptorType, one: object) -> Any:
    try:
        return slot.__get__(one)
    except AttributeError:
        raise CannotBeRestored(f"{type(one).__qualname__} without {slot.__name__}") from None
