"""Descriptions made from streams are forgotten with them, however many streams a process reads."""

from __future__ import annotations

import gc
import json
import weakref

from vmstate.describe import plan_of
from vmstate.describe.from_vmdesc import from_vmdesc, parse_json

ENTRY = {
    "name": "device",
    "instance_id": 0,
    "vmsd_name": "device",
    "version": 1,
    "fields": [{"name": "a", "type": "uint32", "size": 4}, {"name": "b", "type": "uint8", "size": 1}],
}


def test_a_compiled_description_goes_when_nobody_has_it():
    description = from_vmdesc(parse_json(json.dumps(ENTRY).encode()))
    plan_of(description)
    watched = weakref.ref(description)
    del description
    gc.collect()
    assert watched() is None


def test_a_description_is_compiled_once():
    description = from_vmdesc(parse_json(json.dumps(ENTRY).encode()))
    assert plan_of(description) is plan_of(description)
