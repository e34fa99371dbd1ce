"""The order in which hooks run, and the effects of their return values."""

from __future__ import annotations

import pytest

from tests.support.wire import END, loaded, saved, wire
from vmstate.describe import (
    Bool,
    Cursor,
    History,
    LoadFailure,
    QTailQ,
    Record,
    SaveFailure,
    Struct,
    Tmp,
    UInt8,
    UInt32,
    Unused,
    Validate,
    VMStateDescription,
    decode,
    encode,
    plan_of,
)
from vmstate.describe.diagnostics import HookFailed, Refused
from vmstate.errors import EncodeError


class Logged:
    """Return descriptions whose hooks and tests record their calls."""

    def __init__(self):
        self.log = []

    def note(self, what, answer=0):
        def hook(state, *_):
            self.log.append(what)
            return answer

        return hook

    def vmsd(self, name, *fields, **more):
        hooks = {h: self.note(f"{h} {name}") for h in ("pre_load", "post_load", "pre_save", "post_save")}
        return VMStateDescription(name, 1, 1, fields=fields, **hooks, **more)

    def whole(self):
        inner = self.vmsd("inner", UInt8("i"))
        sub = self.vmsd("dev/sub", UInt8("s"), needed=self.note("needed", True))
        test = self.note("exists", True)
        return self.vmsd(
            "dev", UInt8("a", exists=test), Struct("inner", inner), UInt8("z"), subsections=[sub]
        )


STATE = {"a": 1, "z": 3, "s": 4}
WIRE = wire("01 02 03 | 05 07 'dev/sub' 00000001 04")


def test_loading_goes_from_pre_load_over_fields_and_subsections_to_post_load():
    made = Logged()
    loaded(made.whole(), WIRE, Record(inner=Record()))
    assert made.log == [
        "pre_load dev",
        "exists",
        *("pre_load inner", "post_load inner"),
        *("pre_load dev/sub", "post_load dev/sub"),
        "post_load dev",
    ]


def test_saving_goes_from_pre_save_over_fields_and_subsections_to_post_save():
    made = Logged()
    assert saved(made.whole(), Record(inner=Record(i=2), **STATE)) == WIRE
    assert made.log == [
        "pre_save dev",
        "exists",
        *("pre_save inner", "post_save inner"),
        "needed",
        *("pre_save dev/sub", "post_save dev/sub"),
        "post_save dev",
    ]


def test_nothing_but_tests_of_existence_runs_when_a_stream_is_only_decoded_and_written_back():
    made = Logged()
    vmsd = made.whole()
    _, state, error = decode(vmsd, memoryview(WIRE), 0, 1)
    assert error is None
    assert encode(vmsd, state, replay=True) == WIRE
    assert set(made.log) == {"exists"}


def test_versions_are_checked_before_pre_load():
    made = Logged()
    with pytest.raises(LoadFailure):
        loaded(made.whole(), WIRE, version_id=2)
    assert made.log == []


def test_hooks_see_what_was_loaded_so_far():
    seen = []
    sub = VMStateDescription("d/s", 1, 1, fields=[UInt8("b")], post_load=lambda s, v: seen.append((s.a, s.b)))
    dev = VMStateDescription(
        "d", 1, 1, fields=[UInt8("a")], subsections=[sub], pre_load=lambda s: seen.append(vars(s).copy())
    )
    loaded(dev, wire("01 | 05 03 'd/s' 00000001 02"))
    assert seen == [{}, (1, 2)]


def test_post_load_gets_the_incoming_version():
    seen = []
    dev = VMStateDescription("d", 3, 1, fields=[UInt8("a")], post_load=lambda s, v: seen.append(v))
    loaded(dev, b"\1", version_id=2)
    assert seen == [2]


@pytest.mark.parametrize("hook", ["pre_load", "post_load"])
@pytest.mark.parametrize("ret", [-1, -22, -95])
def test_a_hooks_errno_ends_the_loading(hook, ret):
    dev = VMStateDescription("d", 4, 2, fields=[UInt8("a")], **{hook: lambda *_: ret})
    cur = Cursor(memoryview(b"\1" + END), judge=True)
    with pytest.raises(LoadFailure) as failure:
        plan_of(dev).load(cur, Record(), 3)
    assert failure.value.ret == ret
    assert cur.diagnostics == [
        HookFailed(hook, "d", 4, 2, ret)
    ]  # QEMU prints the local version, not the incoming
    assert cur.pos == (0 if hook == "pre_load" else 1)


def test_a_positive_answer_is_no_failure():
    dev = VMStateDescription("d", 1, 1, fields=[UInt8("a")], pre_load=lambda s: 0, post_load=lambda s, v: 1)
    assert loaded(dev, b"\5").a == 5


def test_post_save_runs_although_a_field_could_not_be_saved():
    made = Logged()
    with pytest.raises(EncodeError):
        saved(made.vmsd("d", UInt8("a")), Record(a=256))
    assert made.log == ["pre_save d", "post_save d"]


def test_a_hook_may_hand_its_message_to_the_loader():
    def post_load(state, version_id):
        raise Refused("the machine is another one")

    dev = VMStateDescription("d", 1, 1, fields=[UInt8("a")], post_load=post_load)
    cur = Cursor(memoryview(b"\1" + END), judge=True)
    with pytest.raises(LoadFailure):
        plan_of(dev).load(cur, Record(), 1)
    assert cur.diagnostics == [HookFailed("post_load", "d", 1, 1, -22, "the machine is another one")]


@pytest.mark.parametrize("hook", ["pre_save", "post_save"])
def test_a_save_hook_that_fails_is_named(hook):
    dev = VMStateDescription("d", 1, 1, fields=[UInt8("a")], **{hook: lambda state: -5})
    with pytest.raises(SaveFailure) as failure:
        saved(dev, Record(a=1))
    assert (failure.value.vmsd, failure.value.hook, failure.value.ret) == ("d", hook, -5)


def test_hooks_may_differ_by_release():
    dev = VMStateDescription(
        "d", 1, 1, fields=[UInt8("a")], post_load=History(None, ("3.0", lambda s, v: -1))
    )
    assert loaded(dev.at("2.12"), b"\7").a == 7
    with pytest.raises(LoadFailure):
        loaded(dev.at("3.0"), b"\7")


def test_scratch_state_is_made_anew_and_filled_and_emptied_by_its_hooks():
    made = []

    def make(parent):
        made.append(Record(parent=parent))
        return made[-1]

    child = VMStateDescription(
        "child",
        fields=[UInt32("double")],
        pre_save=lambda tmp: setattr(tmp, "double", 2 * tmp.parent.single),
        post_load=lambda tmp, v: setattr(tmp.parent, "single", tmp.double // 2),
    )
    dev = VMStateDescription("d", 1, 1, fields=[Tmp(child, make)])
    assert saved(dev, Record(single=21)) == wire("0000002a")
    state = loaded(dev, wire("0000002a"))
    assert vars(state) == {"single": 21}
    assert len(made) == 2


def test_a_validator_may_refuse_to_save():
    dev = VMStateDescription("d", 1, 1, fields=[UInt8("a"), Validate("small", lambda s, v: s.a < 9)])
    assert saved(dev, Record(a=8)) == b"\x08"
    with pytest.raises(EncodeError, match="d/small"):
        saved(dev, Record(a=9))


def test_elements_of_a_queue_can_be_objects_of_a_kind():
    class Request:
        pass

    job = VMStateDescription("job", 1, 1, fields=[Bool("done")])
    dev = VMStateDescription("d", 1, 1, fields=[QTailQ("jobs", job, make=lambda parent: Request())])
    assert [type(j) for j in loaded(dev, wire("01 01 01 00 00")).jobs] == [Request, Request]


def test_unused_space_is_written_as_zeros_and_skipped_whatever_it_holds():
    dev = VMStateDescription("d", 1, 1, fields=[Unused(3), UInt8("a")])
    assert saved(dev, Record(a=5)) == wire("000000 05")
    assert vars(loaded(dev, wire("abcdef 05"))) == {"a": 5}
