"""KVM hosts that come with the package, one TOML file each (see vmstate/pseries/accelerators.py)."""

from __future__ import annotations
