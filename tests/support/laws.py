"""Laws of the codec: cases drawn from descriptions, and the comparison of values."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.strategies import descriptions, releases
from vmstate.describe import Cursor, Record, plan_of
from vmstate.describe.arrays import WireArray, WireRecord, WireRecords
from vmstate.describe.strategies import states

AFTER = b"~" * 300  # the stream continues: the search for a name may reach that far

laws = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))


@st.composite
def declared(draw):
    """Draw a description at a release, and a state of it."""
    vmsd = draw(descriptions()).at(draw(releases))
    return vmsd, draw(states(vmsd))


def plain(value):
    """Return a value without views, private and absent members, to compare values of both codecs."""
    if isinstance(value, dict):
        hidden = {k for k, v in value.items() if k.startswith("_") or k == "parent" or v is None}
        return {k: plain(v) for k, v in value.items() if k not in hidden}
    if isinstance(value, (WireArray, WireRecords, list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Record):
        return plain(vars(value))
    if isinstance(value, WireRecord):
        return {name: getattr(value, name) for name in value._records.names}
    return bytes(value) if isinstance(value, (memoryview, bytearray)) else value


def load(vmsd, data, state, version_id=None):
    """Load as a destination does; return the cursor."""
    cur = Cursor(memoryview(data), judge=True)
    plan_of(vmsd).load(cur, state, vmsd.version_id if version_id is None else version_id)
    return cur
