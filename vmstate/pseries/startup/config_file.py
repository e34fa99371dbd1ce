"""Files of options for ``-readconfig`` (util/qemu-config.c ``qemu_config_parse``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pattern import pattern
from vmstate.pseries.startup.command_line import Option

_SECTION = pattern(r'\[\s*([^\s"\]]{1,63})(?:\s+"([^"]{1,63})")?\s*\]')
_ENTRY = pattern(r'([^\s"=]{1,63})\s*=\s*"([^"]{0,1023})"')

#: Groups of options whose name is not the option's.
_OPTION_OF_GROUP = {"memory": "m", "smp-opts": "smp", "boot-opts": "boot"}


def read_config(path: str) -> list[Option]:
    """Return a file's sections as options, in order.

    Raises ConfigurationError for a file that cannot be read, or has another line than a section or an entry.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"-readconfig {path}: {error}") from None
    return list(_options(path, text))


def _options(path: str, text: str) -> Iterator[Option]:
    name, parts, place = "", [""], ""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        section, entry = _SECTION.fullmatch(line), _ENTRY.fullmatch(line)
        if section:
            if name:
                yield _option(name, parts, place)
            name = _OPTION_OF_GROUP.get(section[1], section[1])
            parts = [f"id={section[2]}"] if section[2] else []
            place = f"{path}:{number}"
        elif entry and name:
            parts.append(f"{entry[1]}={entry[2].replace(',', ',,')}")
        elif line and not line.startswith("#"):
            raise NotModelled(f"-readconfig {path}: line {number} is not modelled: {line}")
    if name:
        yield _option(name, parts, place)


def _option(name: str, parts: list[str], place: str) -> Option:
    return Option(name, ",".join(parts), place)
