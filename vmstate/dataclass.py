"""The standard library's dataclass, except that its methods are compiled when they are first used.

The standard one compiles six functions for each frozen class while a module is imported.  A command imports
some hundred of these classes and uses a few, which made them a quarter of the time that it takes to start.
Here a class gets a stub for each method; the first call compiles the method and puts it in the stub's place.

Fields, ``replace``, ``fields``, ``asdict``, patterns and pickling are the standard library's.  Nothing here
uses ``InitVar``, ``order`` or ``kw_only``, and they are not offered.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable
from types import FunctionType

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs more than this module

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - for type checkers it is the standard one
else:

    def dataclass(
        cls: type | None = None,
        /,
        *,
        repr: bool = True,  # noqa: A002 - as it is named there
        eq: bool = True,
        frozen: bool = False,
        slots: bool = False,
    ) -> object:
        """Return the class as a dataclass; used as ``@dataclass`` or ``@dataclass(frozen=True, …)``."""

        def made(cls: type) -> type:
            cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
            _give_methods(cls, repr=repr, eq=eq, frozen=frozen)
            if frozen and slots:  # the slots cannot be set as pickle does it
                _give(cls, "__getstate__", _state)
                _give(cls, "__setstate__", _set_state)
            return cls

        return made if cls is None else made(cls)


def _give_methods(cls: type, *, repr: bool, eq: bool, frozen: bool) -> None:  # noqa: A002 - as dataclass has it
    """Give the class a stub for each method that it does not define itself."""
    own = vars(cls)
    _give(cls, "__init__", _compiled_at_first_call(cls, "__init__", lambda: _init_source(cls, frozen=frozen)))
    if repr:
        _give(cls, "__repr__", _repr)
    if eq:
        hashed = "__hash__" in own and not (own["__hash__"] is None and "__eq__" in own)
        _give(cls, "__eq__", _compiled_at_first_call(cls, "__eq__", lambda: _eq_source(cls)))
        if not hashed:
            stub = _compiled_at_first_call(cls, "__hash__", lambda: _hash_source(cls))
            setattr(cls, "__hash__", stub if frozen else None)  # noqa: B010 - mypy takes it for a method
    if frozen:
        _give(cls, "__setattr__", _frozen(cls, "assign to"))
        _give(cls, "__delattr__", _frozen(cls, "delete"))


def _give(cls: type, name: str, method: object) -> None:
    if name not in vars(cls):
        setattr(cls, name, method)


Source = tuple[str, str, dict[str, object]]  # arguments, body, the names that they use


def _compiled_at_first_call(cls: type, name: str, source: Callable[[], Source]) -> object:
    """Return a method that compiles the real one, puts it in its own place and calls it."""

    def stub(*args: object, **keywords: object) -> object:
        arguments, body, names = source()
        exec(f"def {name}({arguments}):\n {body}", names)  # noqa: S102 - made of the names of fields only
        method = names[name]
        assert isinstance(method, FunctionType)
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, method)
        return method(*args, **keywords)

    stub.__name__ = name
    stub.__qualname__ = f"{cls.__qualname__}.{name}"
    return stub


def _init_source(cls: type, *, frozen: bool) -> Source:
    names: dict[str, object] = {"_set": object.__setattr__, "_made": _MADE}
    arguments, lines = ["self"], []
    for one in dataclasses.fields(cls):
        value = one.name
        if one.default is not dataclasses.MISSING:
            names[f"_default_{one.name}"] = one.default
            default = f"=_default_{one.name}"
            value = one.name if one.init else f"_default_{one.name}"
        elif one.default_factory is not dataclasses.MISSING:
            names[f"_factory_{one.name}"] = one.default_factory
            default = "=_made"
            value = f"_factory_{one.name}()"
            if one.init:
                value = f"{value} if {one.name} is _made else {one.name}"
        else:
            default = ""
        if one.init:
            arguments.append(one.name + default)
        elif not default:
            continue  # set later
        lines.append(f"_set(self, {one.name!r}, {value})" if frozen else f"self.{one.name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    return ", ".join(arguments), "\n ".join(lines or ["pass"]), names


def _eq_source(cls: type) -> Source:
    compared = [one.name for one in dataclasses.fields(cls) if one.compare]
    mine, theirs = ("".join(f"{side}.{name}, " for name in compared) for side in ("self", "other"))
    body = f"return ({mine}) == ({theirs}) if other.__class__ is self.__class__ else NotImplemented"
    return "self, other", body, {}


def _hash_source(cls: type) -> Source:
    hashed = [one for one in dataclasses.fields(cls) if (one.compare if one.hash is None else one.hash)]
    return "self", f"return hash(({''.join(f'self.{one.name}, ' for one in hashed)}))", {}


@reprlib.recursive_repr()
def _repr(self: object) -> str:
    fields = dataclasses.fields(self)  # type: ignore[arg-type]
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _frozen(cls: type, what: str) -> object:
    """Return a frozen class's ``__setattr__`` or ``__delattr__``; a subclass may add attributes."""
    names = frozenset(vars(cls)["__dataclass_fields__"])
    above = object.__setattr__ if what == "assign to" else object.__delattr__

    def refuse(self: object, name: str, *value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot {what} field {name!r}")
        above(self, name, *value)

    return refuse


def _state(self: object) -> list[object]:
    return [getattr(self, one.name) for one in dataclasses.fields(self)]  # type: ignore[arg-type]


def _set_state(self: object, state: list[object]) -> None:
    for one, value in zip(dataclasses.fields(self), state, strict=True):  # type: ignore[arg-type]
        object.__setattr__(self, one.name, value)


_MADE = object()  # the default of an argument whose value a factory makes
