"""A user's own device as the destination, from a Python file.

``DESCRIPTION`` is the device's description; ``device()`` returns its state after reset, in which every array
has its length in C.  ``use(device)`` (optional) does what the device does next with the loaded state.
``RELEASE`` (optional) is the release of QEMU that loads, by default the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Field, Plan, Validate, VMStateDescription, encode, plan_of
from vmstate.describe.cursor import Cursor
from vmstate.describe.history import Release
from vmstate.describe.steps import count_of, number_of
from vmstate.describe.vmdesc import VmdescWriter
from vmstate.errors import ConfigurationError, VmstateError
from vmstate.fuzz.c_arrays import with_c_arrays
from vmstate.fuzz.faults import Fault, Kind, Run, escaped, hanging
from vmstate.fuzz.time_limit import TimeLimitExceeded, time_limit
from vmstate.judge.comparison import HANG, Answer
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.savevm.loader import Loader
from vmstate.savevm.messages import lines
from vmstate.simulate.reloading import Beginning
from vmstate.stream import writer
from vmstate.stream.constants import SectionType
from vmstate.users_code import blamed, run_text

_SECTION_ID = 1
TIMEOUT = 1.0  # seconds that the device's own code may take


class Overflow(Exception):
    """The stream has more elements than the array has room for."""

    def __init__(self, device: str, field: str, room: int, coming: int) -> None:
        super().__init__(f"{device}: {coming} elements come for {field}, which has room for {room}")
        self.device = device
        self.field = field

    def fault(self) -> Fault:
        """Return the overflow as a fault."""
        return Fault(Kind.OVERFLOW, f"overflow of {self.field} in {self.device}", str(self))


@dataclass
class _Entry:
    """The registered section; ``plan`` loads into ``state``, which is not a section itself."""

    state: Any
    reset: Callable[[], Any]
    checked: Plan
    idstr: str
    instance_id: int = 0
    alias_id: int | None = None
    compat: tuple[str, int] | None = None
    loaded: bool = False

    @property
    def version_id(self) -> int:
        return self.checked.version_id

    @property
    def plan(self) -> _Entry:
        return self

    def load(self, cur: Cursor, _entry: object, version_id: int) -> None:
        if self.loaded:  # loaded again: arrays have their length in C again
            with_c_arrays(self.state, self.reset())
        self.loaded = True
        self.checked.load(cur, self.state, version_id)


class Device:
    """A target: the file's device, alone in a machine."""

    def __init__(
        self,
        description: VMStateDescription,
        device: Callable[[], Any],
        use: Callable[[Any], object] | None = None,
        release: Release | None = None,
        file: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.release = release or max(CATALOGUE.newest)
        self.description = description.at(self.release)
        self.name = description.name
        self._device = device
        self._use = use
        self._file = file
        self._timeout = timeout
        self._checked = plan_of(_checked(self.description))

    def stream(self) -> bytes:
        """Return the stream that the device sends after reset, with its section alone."""
        state, plan = self._device(), plan_of(self.description)
        described = VmdescWriter.at(self.release)
        section = described.device(plan, self.name, 0, state)
        text = described.style.object(
            [("page_size", "4096"), ("devices", described.style.array([section]))]
        ).encode()
        return b"".join(
            (
                writer.file_header(),
                writer.section_start(SectionType.FULL, _SECTION_ID, self.name, 0, plan.version_id),
                encode(self.description, state),
                writer.footer(_SECTION_ID),
                bytes([SectionType.EOF]),
                writer.vmdescription(text),
            )
        )

    def run(self, stream: memoryview, begins: Beginning | None = None) -> Run:
        """Load the stream, then use the device."""
        state = self._device()
        cur = Cursor(stream, judge=True)
        loader = Loader(
            cur=cur,
            entries=[_Entry(state, self._device, self._checked, self.name)],
            release=self.release,
            configuration=None,
            configuration_plan=None,
            footers=True,
            vmdescription=True,
        )
        try:
            with time_limit(self._timeout):
                ret = loader.run()
                if ret == 0 and self._use is not None:
                    with_c_arrays(state, self._device())
                    self._use(state)
        except TimeLimitExceeded as error:
            fault = hanging(error, self._file)
            error.__traceback__ = None
            return Run(self.name, Answer(HANG, (f"no end in {self._timeout:g} s",)), (fault,))
        except Overflow as overflow:
            answer = Answer("crash", (str(overflow),), rule="overflow")
            return Run(self.name, answer, (overflow.fault(),))
        except VmstateError as error:
            return Run(self.name, Answer("escaped", (str(error),)), (escaped(error),))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a campaign looks for any exception of the device's own code
            fault = escaped(error, self._file)
            error.__traceback__ = None
            return Run(self.name, Answer("crash", (repr(error),)), (fault,))
        decided = loader.decided_by
        answer = Answer(
            "accept" if ret == 0 else "reject",
            tuple(lines(cur.diagnostics, ret, self.release)),
            rule=decided.rule if ret and decided is not None else None,
        )
        return Run(self.name, answer)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _checked(description: VMStateDescription) -> VMStateDescription:
    """Return the description with a bounds check before each array whose count is in the stream.

    No hook can replace it: ``post_load`` runs after the memory behind the array has been overwritten.
    """
    fields: list[Field] = []
    for field in description.fields:
        inner = field if field.vmsd is None else replace(field, vmsd=_checked(field.vmsd))
        if not field.allocated and (isinstance(field.count, str) or isinstance(field.size, str)):
            fields.append(Validate(f"room for {field.name}", _room(description.name, field)))
        fields.append(inner)
    subsections = [_checked(sub) for sub in description.subsections]
    return replace(description, fields=tuple(fields), subsections=tuple(subsections))


def _room(device: str, field: Field) -> Callable[[Any, int], bool]:
    def check(state: Any, version_id: int) -> bool:
        comes = field.exists(state, version_id) if field.exists else version_id >= _since(field)
        array: Any = getattr(state, field.attr or field.name, None)
        if not comes or not isinstance(array, Sized):
            return True
        by_size = isinstance(field.size, str)
        coming = number_of(field, state, str(field.size)) if by_size else count_of(field, state)
        if field.start + coming > len(array):
            raise Overflow(device, field.name, len(array), field.start + coming)
        return True

    return check


def _since(field: Field) -> int:
    return field.version_id if isinstance(field.version_id, int) else 0


def opened_device(path: str, text: str, timeout: float = TIMEOUT) -> Device:
    """Open the device of a file.  Raises ConfigurationError if the file fails or lacks a name."""
    made = run_text(path, text, "device")
    try:
        description, device = made["DESCRIPTION"], made["device"]
        release = Release.parse(made["RELEASE"]) if "RELEASE" in made else None
        opened = Device(description, device, made.get("use"), release, path, timeout)
        answer = opened.run(memoryview(opened.stream())).answer
    except KeyError as error:
        raise ConfigurationError(f"{path}: it does not define {error.args[0]}") from None
    except (Exception, SystemExit) as error:
        raise blamed(error) or ConfigurationError(f"{path}: {type(error).__name__}: {error}") from error
    if answer.outcome != "accept":
        printed = "; ".join(answer.messages)
        raise ConfigurationError(f"{path}: the device rejects its own stream after reset: {printed}")
    return opened
