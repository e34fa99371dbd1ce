"""Properties of devices: the value that -device, -global, the machine type or the device itself gives."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.describe.history import History, at
from vmstate.errors import ConfigurationError
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption


def is_on(value: str) -> bool:
    """Return True if a property of type bool is set."""
    return value in {"on", "yes", "true", "y"}


def number_of(option: DeviceOption | None, name: str, default: int) -> int:
    """Return a numeric value of an option.  Raises ConfigurationError for a text that is not a number."""
    given = None if option is None else option.get(name)
    return default if given is None else _number(name, given)


def _number(name: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ConfigurationError(f"{name}={text}: not a number that is modelled") from None


@dataclass(frozen=True)
class Property:
    """A property of the class ``owner``, with the device's own default, by release."""

    owner: str
    name: str
    default: str | History[str] = ""

    def text(self, machine: Machine, option: DeviceOption | None = None) -> str:
        """Return the value from -device, else -global, else the machine type, else the device's default."""
        given = None if option is None else option.get(self.name)
        if given is not None:
            return given
        value = at(self.default, machine.release)
        for owner, name, text in machine.compat_properties:
            if (owner, name) == (self.owner, self.name):
                value = text
        for setting in machine.globals:
            if (setting.driver, setting.prop) == (self.owner, self.name):
                value = setting.value
        return value

    def flag(self, machine: Machine, option: DeviceOption | None = None) -> bool:
        """Return the value of a property of type bool."""
        return is_on(self.text(machine, option))

    def number(self, machine: Machine, option: DeviceOption | None = None, default: int = 0) -> int:
        """Return a numeric value; ``default`` is the device's own if that depends on the machine.

        Raises ConfigurationError for a text that is not a number.
        """
        text = self.text(machine, option)
        return _number(self.name, text) if text else default
