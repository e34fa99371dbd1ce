"""QEMU migration streams: declare device state once; read, write, check, edit and judge it everywhere.

    with vmstate.open("guest.mig.zst") as stream:
        stream["cpu[0]/compat.compat_pvr"] = 0x0F000003
        stream.save("edited.mig")
        print(vmstate.load(stream, on="qemu-7.2 -machine pseries-7.2").explain())

Everything public is in ``__all__`` and is imported when it is first used; ``docs/library.md`` describes it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for True; importing typing would double the time of the import

if TYPE_CHECKING:
    from vmstate.compare.difference import Difference
    from vmstate.compare.verify import Verified
    from vmstate.errors import (
        ConfigurationError,
        DeclarationError,
        EncodeError,
        Finding,
        NotModelled,
        OutputError,
        Severity,
        StreamError,
        TooLarge,
        Truncated,
        Unsupported,
        VmstateError,
    )
    from vmstate.front.checks import diff
    from vmstate.front.opening import from_json
    from vmstate.front.opening import open_stream_file as open  # noqa: A004 - as gzip.open and tarfile.open
    from vmstate.front.prediction import Prediction, load, migrate
    from vmstate.front.stream_file import StreamFile
    from vmstate.front.stream_section import StreamSection
    from vmstate.front.verification import verify
    from vmstate.savevm.verdict import Outcome
    from vmstate.tree.as_json import JsonError
    from vmstate.tree.paths import PathError

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "DeclarationError",
    "Difference",
    "EncodeError",
    "Finding",
    "JsonError",
    "NotModelled",
    "Outcome",
    "OutputError",
    "PathError",
    "Prediction",
    "Severity",
    "StreamError",
    "StreamFile",
    "StreamSection",
    "TooLarge",
    "Truncated",
    "Unsupported",
    "Verified",
    "VmstateError",
    "__version__",
    "diff",
    "from_json",
    "load",
    "migrate",
    "open",
    "verify",
]

_ERRORS = (
    "ConfigurationError DeclarationError EncodeError Finding NotModelled OutputError Severity StreamError "
    "TooLarge Truncated Unsupported VmstateError"
)
_MODULES = {
    "vmstate.compare.difference": "Difference",
    "vmstate.compare.verify": "Verified",
    "vmstate.errors": _ERRORS,
    "vmstate.front.checks": "diff",
    "vmstate.front.prediction": "Prediction load migrate",
    "vmstate.front.opening": "from_json",
    "vmstate.front.stream_file": "StreamFile",
    "vmstate.front.stream_section": "StreamSection",
    "vmstate.front.verification": "verify",
    "vmstate.savevm.verdict": "Outcome",
    "vmstate.tree.as_json": "JsonError",
    "vmstate.tree.paths": "PathError",
}
_HOMES = {name: (module, name) for module, names in _MODULES.items() for name in names.split()}
_HOMES["open"] = ("vmstate.front.opening", "open_stream_file")


if not TYPE_CHECKING:  # a type checker must not take every name for one of the module's

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found: object = getattr(import_module(home[0]), home[1])
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
