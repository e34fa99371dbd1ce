"""Self-contained HTML pages: a matrix, a stream as a map of its bytes, two streams compared.

A page is one file without references to others.  Its templates need ``jinja2`` (``qemu-vmstate[html]``).
"""

from __future__ import annotations
