"""The state of a destination before it loads: the same pointers, and facts that are not on the wire."""

from __future__ import annotations

from vmstate.describe import Record, plan_of
from vmstate.describe.composites import TmpInfo
from vmstate.describe.infos import Equal, Int32PositiveLe


def twin(vmsd, state):
    """Return a state with only null pointers, values to compare with, and counts that are not fields."""
    other = Record()
    _copy(vmsd, state, other)
    return other


def _copy(vmsd, state, other):
    own = {f.attr for f in vmsd.fields}
    for field in vmsd.fields:
        for name in (field.count, field.size):
            if isinstance(name, str) and name not in own:
                setattr(other, name, getattr(state, name))
        if field.attr is None or field.must_exist or isinstance(field.info, TmpInfo):
            continue
        value = getattr(state, field.attr, None)
        if isinstance(field.info, (Equal, Int32PositiveLe)):
            setattr(other, field.attr, value)
        elif field.pointers and value is not None:
            setattr(other, field.attr, [_pointed(field, element) for element in value])
        elif field.vmsd is not None and field.info is None and value is not None:
            mate = (
                [twin(field.vmsd, v) for v in value] if field.count is not None else twin(field.vmsd, value)
            )
            if field.count is None or plan_of(field.vmsd).layout(1) is None:
                setattr(other, field.attr, mate)
    for sub in vmsd.subsections:
        _copy(sub, state, other)


def _pointed(field, element):
    if element is None:
        return None
    return element if field.vmsd is None else twin(field.vmsd, element)
