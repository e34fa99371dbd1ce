"""``python -m vmstate`` is the ``vmstate`` command."""

from __future__ import annotations

from vmstate.cli import main

raise SystemExit(main())
