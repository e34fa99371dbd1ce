"""The index of drivers, made from the drivers; ``python -m`` with this module writes it."""

from __future__ import annotations

from pathlib import Path

from vmstate.pseries import board, devices

FILE = Path(board.__file__).parent / "driver_index.py"
HEAD = '''"""Which module has the drivers of which names, so that one is found without importing all.

Generated from the drivers by `python -m tests.support.driver_index`.  Nothing depends on it: a name that
is not here, or not where it is said to be, is looked for in all modules.
"""

from __future__ import annotations

#: A module, and names of its drivers; one with many has several lines.
LINES = """
'''
WIDE = 100


def text() -> str:
    """Return the text of the index."""
    lines = (line for module, names in sorted(_names().items()) for line in _lines(module, names))
    return HEAD + "".join(f"{line}\n" for line in lines) + '"""\n'


def _names() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module in devices.modules():
        names = [driver.name for driver in getattr(module, "DRIVERS", ())]
        if names:
            found[module.__name__.removeprefix(f"{devices.__name__}.")] = names
    return found


def _lines(module: str, names: list[str]) -> list[str]:
    lines = [module]
    for name in names:
        if len(lines[-1]) + len(name) > WIDE:
            lines.append(module)
        lines[-1] += f" {name}"
    return lines


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
