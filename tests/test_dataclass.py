"""Our dataclass is the standard library's, but for the time at which what belongs to it is made."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import pickle
from pathlib import Path
from typing import ClassVar

import pytest

from vmstate.dataclass import MISSING, dataclass, field, fields, replace

PACKAGE = Path(__file__).resolve().parent.parent / "vmstate"


@dataclass(frozen=True, slots=True)
class Slotted:
    number: int
    words: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Frozen:
    number: int
    words: list[str] = field(default_factory=list, compare=False)
    hidden: str = field(default="h", repr=False)
    made: int = field(init=False, default=7)

    def __post_init__(self) -> None:
        object.__setattr__(self, "made", self.number + 1)


@dataclass
class Open:
    number: int
    later: list[int] = field(init=False, default_factory=list)


@dataclass(frozen=True)
class Lower(Frozen):
    more: int = 0


@dataclass(eq=False)
class Identical:
    number: int = 0


def standard(kind):
    """The same class, made by the standard library."""
    body = {name: value for name, value in vars(kind).items() if name == "__post_init__"}
    own = inspect.get_annotations(kind)
    for one in dataclasses.fields(kind):
        if one.name in own:
            keywords = {
                key: getattr(one, key)
                for key in ("default", "default_factory", "init", "repr", "compare")
                if getattr(one, key) is not dataclasses.MISSING
            }
            body[one.name] = dataclasses.field(**keywords)
    bases = tuple(standard(base) for base in kind.__bases__ if base is not object)
    options = {
        "frozen": kind.__setattr__ is not object.__setattr__,
        "eq": kind.__eq__ is not object.__eq__,
        "slots": "__slots__" in vars(kind),
    }
    made = type(kind.__name__, bases, {**body, "__annotations__": own, "__qualname__": kind.__qualname__})
    return dataclasses.dataclass(**options)(made)


KINDS = (Slotted, Frozen, Open, Lower, Identical)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_class_does_what_the_standard_one_does(kind):
    theirs = standard(kind)
    for arguments in ((1,), (2,), (2, ("b",)), (1, ("b",), "x")):
        results = []
        for one in (kind, theirs):
            try:
                made = one(*arguments)
            except TypeError:
                results.append("wrong arguments")
                continue
            try:
                hashed = hash(made) == hash(one(*arguments))
            except TypeError:
                hashed = "not hashable"
            results.append((repr(made), hashed, made == one(*arguments), made == one(3), made == arguments))
        assert results[0] == results[1]


@pytest.mark.parametrize("kind", [Slotted, Frozen, Lower], ids=lambda kind: kind.__name__)
def test_what_is_frozen_stays_as_it_is(kind):
    one = kind(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'number'"):
        one.number = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'number'"):
        del one.number
    assert one == kind(1)


@pytest.mark.parametrize("kind", [Slotted, Frozen, Lower, Identical], ids=lambda kind: kind.__name__)
def test_what_is_pickled_copied_or_replaced_has_the_same_fields(kind):
    one = kind(5)
    for other in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert type(other) is kind
        assert [getattr(one, f.name) for f in dataclasses.fields(kind)] == [
            getattr(other, f.name) for f in dataclasses.fields(kind)
        ]
    if kind is not Lower and kind is not Frozen:
        assert dataclasses.replace(one, number=6).number == 6


def test_positional_patterns_match():
    match Slotted(1, ("x",)):
        case Slotted(number, words):
            assert (number, words) == (1, ("x",))


def test_a_method_of_the_class_itself_is_kept():
    @dataclass(frozen=True)
    class Own:
        number: int

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 5

        def __repr__(self) -> str:
            return "mine"

    assert (Own(1) == Own(2), hash(Own(1)), repr(Own(1))) == (True, 5, "mine")


def test_a_method_is_compiled_once():
    @dataclass
    class Late:
        number: int

    before = Late.__init__
    Late(1)
    compiled = Late.__init__
    Late(2)
    assert before is not compiled
    assert Late.__init__ is compiled


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_our_fields_are_those_that_the_standard_library_finds(kind):
    theirs = dataclasses.fields(standard(kind))
    for found in (fields(kind), fields(kind(1)), dataclasses.fields(kind), dataclasses.fields(kind(1))):
        for key in ("name", "type", "init", "repr", "compare", "hash"):
            assert [getattr(one, key) for one in found] == [getattr(one, key) for one in theirs]
        for key in ("default", "default_factory"):
            ours = [getattr(one, key) for one in found]
            ours = [dataclasses.MISSING if one is MISSING else one for one in ours]
            assert ours == [getattr(one, key) for one in theirs]
    assert dataclasses.is_dataclass(kind)
    assert kind.__match_args__ == standard(kind).__match_args__
    assert repr(kind.__dataclass_params__) == repr(standard(kind).__dataclass_params__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_standard_library_takes_an_object_apart(kind):
    assert dataclasses.asdict(kind(4)) == dataclasses.asdict(standard(kind)(4))
    assert dataclasses.astuple(kind(4)) == dataclasses.astuple(standard(kind)(4))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "changes", [{}, {"number": 6}, {"words": ("z",)}, {"made": 5}, {"later": [1]}, {"no": 1}]
)
def test_our_replace_does_what_the_standard_one_does(kind, changes):
    results = []
    for one, function in (
        (kind, replace),
        (kind, dataclasses.replace),
        (standard(kind), dataclasses.replace),
    ):
        try:
            results.append(repr(function(one(4), **changes)))
        except (TypeError, ValueError) as error:
            results.append(type(error))
    assert results == [results[2]] * 3


def test_a_standard_dataclass_may_be_based_on_ours():
    @dataclasses.dataclass(frozen=True)
    class Above(Slotted):
        more: int = 1

    assert Above(1, ("a",), 2) == Above(1, more=2)
    assert [one.name for one in dataclasses.fields(Above)] == ["number", "words", "more"]


def test_what_would_be_silently_another_class_is_refused():
    @dataclasses.dataclass
    class Standard:
        number: int

    with pytest.raises(TypeError, match="Above: Standard is the standard library's dataclass"):

        @dataclass
        class Above(Standard):
            more: int = 0

    with pytest.raises(TypeError, match=r"Theirs\.number: field is vmstate\.dataclass's"):

        @dataclass
        class Theirs:
            number: int = dataclasses.field(default=1)

    with pytest.raises(ValueError, match=r"Shared\.words: .* use default_factory"):

        @dataclass
        class Shared:
            words: list[str] = []

    with pytest.raises(TypeError, match="none of the dataclasses of vmstate"):
        fields(Standard)


def test_a_class_variable_is_no_field():
    @dataclass
    class Counted:
        number: int
        count: ClassVar[int] = 3

    assert [one.name for one in fields(Counted)] == ["number"]
    assert (Counted.count, repr(Counted(1)).rpartition(".")[2]) == (3, "Counted(number=1)")


def test_the_package_takes_what_ours_has_from_ours():
    found = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "dataclasses"
        and not {alias.name for alias in node.names}.isdisjoint({"dataclass", "field"})
    ]
    assert found == ["dataclass.py"] * 2  # for type checkers
