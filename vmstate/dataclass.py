"""The standard library's dataclass, except that what it makes of a class is made when it is first used.

The standard one compiles six functions for each frozen class while a module is imported.  A command imports
some two hundred of these classes and uses a few, which made them a quarter of the time to start.  Here a
class gets a stub for each method; the first call compiles the method and puts it in the stub's place.  The
module ``dataclasses`` itself, with ``inspect``, ``ast`` and ``tokenize`` that it needs (8 ms), is imported
when something asks for the standard library's view of a class.

Classes of this module take ``field``, ``fields``, ``replace`` and ``MISSING`` from here.  Patterns, copies,
pickles and the functions of ``dataclasses`` treat them as the standard library's.  Nothing here uses
``InitVar``, ``order`` or ``kw_only``, and they are not offered.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from types import FunctionType

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs more than this module


class _Missing:
    """No default, or no factory."""


_MISSING = _Missing()


class Field:
    """The declaration of one field, with the attributes of the standard library's ``Field``."""

    name: str
    type: object

    def __init__(
        self,
        *,
        default: object = _MISSING,
        default_factory: object = _MISSING,
        init: bool = True,
        repr: bool = True,  # noqa: A002 - as it is named there
        hash: bool | None = None,  # noqa: A002
        compare: bool = True,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.hash = hash
        self.compare = compare


if TYPE_CHECKING:  # for type checkers they are the standard ones
    from dataclasses import MISSING as MISSING  # noqa: PLC0414 - the way to export a name
    from dataclasses import dataclass as dataclass  # noqa: PLC0414
    from dataclasses import field as field  # noqa: PLC0414
    from dataclasses import fields as fields  # noqa: PLC0414
    from dataclasses import replace as replace  # noqa: PLC0414
    from typing import Any
else:
    MISSING = _MISSING
    field = Field

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
            declared = _take_fields(cls)
            if slots:
                cls = _with_slots(cls, declared)
            cls.__declared_fields__ = declared
            options = {"repr": repr, "eq": eq, "frozen": frozen, "slots": slots}
            for name in ("__dataclass_fields__", "__dataclass_params__"):
                setattr(cls, name, _Standard(cls, name, options))
            _give(cls, "__match_args__", tuple([one.name for one in declared.values() if one.init]))
            _give_methods(cls, repr=repr, eq=eq, frozen=frozen)
            if frozen and slots:  # the slots cannot be set as pickle does it
                _give(cls, "__getstate__", _state)
                _give(cls, "__setstate__", _set_state)
            return cls

        return made if cls is None else made(cls)

    def fields(thing: object) -> tuple[Field, ...]:
        """Return the fields of a class or of one of its objects."""
        return tuple(_declared(thing).values())

    def replace(thing: object, /, **changes: object) -> object:
        """Return a copy of an object, with other values of some fields."""
        for name, one in _declared(thing).items():
            if not one.init:
                if name in changes:
                    raise ValueError(f"field {name} is declared with init=False, it cannot be replaced")
            elif name not in changes:
                changes[name] = getattr(thing, name)
        return type(thing)(**changes)


def _declared(thing: object) -> dict[str, Field]:
    """Return the fields of a class or of one of its objects.  Raises TypeError for any other."""
    found: dict[str, Field] | None = getattr(thing, "__declared_fields__", None)
    if found is None:
        raise TypeError(f"{thing!r} is none of the dataclasses of vmstate")
    return found


def _take_fields(cls: type) -> dict[str, Field]:
    """Return the fields of a class, its bases' first; defaults become attributes of the class."""
    found: dict[str, Field] = {}
    for below in cls.__mro__[-1:0:-1]:
        own = vars(below)
        found |= own.get("__declared_fields__", {})
        if "__dataclass_fields__" in own and "__declared_fields__" not in own:
            raise TypeError(f"{cls.__name__}: {below.__name__} is the standard library's dataclass")
    for name, kind in cls.__annotations__.items():
        if str(kind).removeprefix("typing.").startswith("ClassVar"):
            continue
        value = vars(cls).get(name, _MISSING)
        if isinstance(value, Field):
            one = value
            if one.default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, one.default)
        elif type(value).__module__ == "dataclasses":
            raise TypeError(f"{cls.__name__}.{name}: field is vmstate.dataclass's, not dataclasses'")
        else:
            one = Field(default=value)
        if type(one.default).__hash__ is None:
            raise ValueError(
                f"{cls.__name__}.{name}: all objects would share this default: use default_factory"
            )
        one.name, one.type = name, kind
        found[name] = one
    return found


def _with_slots(cls: type, declared: dict[str, Field]) -> type:
    """Return the class anew, with a slot for each field: a class cannot be given slots once it is made."""
    inherited = {slot for below in cls.__mro__[1:] for slot in vars(below).get("__slots__", ())}
    left_out = {*declared, "__dict__", "__weakref__"}
    body = {name: value for name, value in vars(cls).items() if name not in left_out}
    body["__slots__"] = tuple([name for name in declared if name not in inherited])
    made: type = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    return made


class _Standard:
    """An attribute by which the standard library knows its dataclasses, made when it is looked for."""

    def __init__(self, cls: type, name: str, options: dict[str, bool]) -> None:
        self._cls, self._name, self._options = cls, name, options

    def __get__(self, _instance: object, _owner: type) -> object:
        import dataclasses

        keys = ("default", "default_factory", "init", "repr", "hash", "compare")
        standard = []
        for one in _declared(self._cls).values():
            given: dict[str, Any] = {
                key: getattr(one, key) for key in keys if getattr(one, key) is not _MISSING
            }
            standard.append((one.name, one.type, dataclasses.field(**given)))
        options: Any = self._options
        made = getattr(dataclasses.make_dataclass(self._cls.__name__, standard, **options), self._name)
        setattr(self._cls, self._name, made)
        return made


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
    for one in _declared(cls).values():
        value = one.name
        if one.default is not _MISSING:
            names[f"_default_{one.name}"] = one.default
            default = f"=_default_{one.name}"
            value = one.name if one.init else f"_default_{one.name}"
        elif one.default_factory is not _MISSING:
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
    compared = [one.name for one in _declared(cls).values() if one.compare]
    mine, theirs = ("".join(f"{side}.{name}, " for name in compared) for side in ("self", "other"))
    body = f"return ({mine}) == ({theirs}) if other.__class__ is self.__class__ else NotImplemented"
    return "self, other", body, {}


def _hash_source(cls: type) -> Source:
    hashed = [one for one in _declared(cls).values() if (one.compare if one.hash is None else one.hash)]
    return "self", f"return hash(({''.join(f'self.{one.name}, ' for one in hashed)}))", {}


@reprlib.recursive_repr()
def _repr(self: object) -> str:
    fields = _declared(self).values()
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _frozen(cls: type, what: str) -> object:
    """Return a frozen class's ``__setattr__`` or ``__delattr__``; a subclass may add attributes."""
    names = frozenset(vars(cls)["__declared_fields__"])
    above = object.__setattr__ if what == "assign to" else object.__delattr__

    def refuse(self: object, name: str, *value: object) -> None:
        if type(self) is cls or name in names:
            if name == "__orig_class__":  # typing's: it tries each object, and takes this for an answer
                raise AttributeError(name)
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot {what} field {name!r}")
        above(self, name, *value)

    return refuse


def _state(self: object) -> list[object]:
    return [getattr(self, one.name) for one in _declared(self).values()]


def _set_state(self: object, state: list[object]) -> None:
    for one, value in zip(_declared(self).values(), state, strict=True):
        object.__setattr__(self, one.name, value)


_MADE = object()  # the default of an argument whose value a factory makes
