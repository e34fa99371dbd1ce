"""Descriptions made from a vmdesc that is not what QEMU writes."""

from __future__ import annotations

import pytest

from vmstate.describe.from_vmdesc import from_vmdesc, parse_json
from vmstate.errors import StreamError


@pytest.mark.parametrize("inner", ["[]", "[null]", "[[]]", "[1]"])
def test_a_struct_that_is_no_object_is_an_error(inner):
    text = f'{{"name": "x", "fields": [{{"name": "f", "type": "struct", "size": 4, "struct": {inner}}}]}}'
    with pytest.raises(StreamError, match="'struct' of f is not an object"):
        from_vmdesc(parse_json(text.encode()))
