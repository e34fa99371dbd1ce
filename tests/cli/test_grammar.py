"""One grammar for all commands: laws over their parsers, and orders of words that people use."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate import cli
from vmstate.cli.commands import COMMANDS
from vmstate.cli.grammar import long_name
from vmstate.cli.parsers import command_parser

PARSERS = {name: command_parser(name) for name in COMMANDS}
PROGRAM = ["qemu-system-ppc64", "-m", "256", "--json", "-o", "x"]


def value(action):
    if action.choices is not None:
        return str(next(iter(action.choices)))
    return "-x y" if action.type is None else "7"


def spelled(draw, action):
    """The words of an option, in one of its spellings."""
    name = draw(st.sampled_from(action.option_strings))
    if action.nargs == 0:
        return [name]
    if name.startswith("--") and draw(st.booleans()):
        return [f"{name}={value(action)}"]
    return [name, value(action)]


@st.composite
def command_lines(draw):
    """A command, and its words in two orders: options first, and mixed."""
    name = draw(st.sampled_from(sorted(PARSERS)))
    parser = PARSERS[name]
    usable = [one for one in parser.options() if not isinstance(one, argparse._HelpAction)]
    exclusive = {
        id(one): group for group in parser._mutually_exclusive_groups for one in group._group_actions
    }
    chosen, groups = [], set()
    for one in usable:
        group = exclusive.get(id(one))
        needed = one.required or (group is not None and group.required and group not in groups)
        if group not in groups and (needed or draw(st.integers(0, 3)) == 0):
            chosen.append(spelled(draw, one))
            groups |= set() if group is None else {group}
    arguments = [
        value(one) if one.choices else f"argument{number}" for number, one in enumerate(parser.arguments())
    ]
    if arguments and parser.arguments()[-1].nargs in ("*", "+"):
        arguments += ["more", "most"][: draw(st.integers(0, 2))]
    ordered = [word for option in chosen for word in option] + arguments
    mixed, options, left = [], draw(st.permutations(chosen)), list(arguments)
    while options or left:
        if options and (not left or draw(st.booleans())):
            mixed += options.pop(0)
        else:
            mixed.append(left.pop(0))
    program = ["--", *PROGRAM] if parser.program is not None else []
    return name, ordered + program, mixed + program


@given(command_lines())
def test_options_may_stand_before_between_and_after_arguments(given):
    name, ordered, mixed = given
    one, other = (vars(PARSERS[name].read(words)) for words in (ordered, mixed))
    changes = [found.pop("changes", None) for found in (one, other)]
    assert one == other
    assert sorted(changes[0] or ()) == sorted(changes[1] or ())  # of edit: in the order of the words


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_takes_one_value_or_none_and_has_a_long_name(name):
    for action in PARSERS[name].options():
        assert action.nargs in (None, 0), f"{action.option_strings} swallows the words behind it"
        assert long_name(action).startswith("--")
    assert all(not action.option_strings or action.help for action in PARSERS[name]._actions)


@pytest.mark.parametrize("name", [name for name, parser in PARSERS.items() if parser.usage is None])
def test_a_usage_does_not_call_required_what_may_be_absent(name, capsys):
    """What stands without brackets in a generated usage is needed, and nothing else is."""
    parser = PARSERS[name]
    needed = [one for one in parser.options() if one.required]
    words = [word for one in needed for word in (one.option_strings[-1], value(one))]
    for group in parser._mutually_exclusive_groups:
        if group.required:
            words += [group._group_actions[0].option_strings[0], value(group._group_actions[0])]
    required = [one for one in parser.arguments() if one.nargs in (None, "+")]
    program = ["--", "qemu"] if parser.program is not None else []
    given = [value(one) if one.choices else "x" for one in required]
    parser.read([*words, *given, *program])
    if required:
        with pytest.raises(SystemExit):
            parser.read([*words, *given[1:], *program])
        assert str(required[-1].metavar) in capsys.readouterr().err


def read(line):
    name, *words = line.split()
    return command_parser(name).read(words)


@pytest.mark.parametrize(
    "line",
    [
        "edit -o out in a=1 b=2",
        "edit in -o out a=1 b=2",
        "edit in a=1 -o out b=2",
        "edit in a=1 b=2 --output=out",
    ],
)
def test_edit_takes_its_output_anywhere(line):
    options = read(line)
    assert (options.output, options.stream, options.changes) == ("out", "in", ["a=1", "b=2"])


def test_edit_keeps_the_order_of_changes():
    options = read("edit --json x --remove slirp a=1 -o y --add b=2 c=3")
    assert options.changes == ["-slirp", "a=1", "+b=2", "c=3"]
    assert (options.stream, options.json) == ("x", True)


def test_options_stand_between_arguments():
    assert (
        vars(read("show x --depth 1 spapr")).items()
        >= {"stream": "x", "paths": ["spapr"], "depth": 1}.items()
    )
    assert read("show --json x").paths == []
    assert read("migrate a --trace b").destination == "b"


def test_replay_takes_options_before_the_program():
    options = read("replay x --timeout 20 -- qemu-system-ppc64 --timeout 3")
    assert (options.stream, options.timeout) == ("x", 20.0)
    assert options.qemu == ["qemu-system-ppc64", "--timeout", "3"]


@pytest.mark.parametrize("dashes", ["", "-- "])
def test_capture_needs_no_dashes_before_the_program(dashes):
    options = read(f"capture --strip -o out {dashes}qemu-system-ppc64 -m 256 -o x")
    assert (options.output, options.strip) == ("out", True)
    assert options.qemu == ["qemu-system-ppc64", "-m", "256", "-o", "x"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("shwo x", "vmstate: no command 'shwo'; did you mean show?"),
        ("--jsn", "vmstate: no option --jsn without a command"),
        ("show x --dpeth 1", "vmstate show: no option --dpeth; did you mean --depth?"),
        ("show x -json", "vmstate show: no option -json; did you mean --json?"),
        ("show x --depth", "vmstate show: --depth needs a value"),
        ("show x --depth --json", "vmstate show: --depth needs a value, found the option --json"),
        ("show --h", "vmstate show: --h may be one of --help, --hex, --html"),
        ("show", "vmstate show: the following arguments are required: STREAM"),
        ("diff a b c", "vmstate diff: unexpected argument: c"),
        ("edit x a=1", "vmstate edit: the following arguments are required: -o/--output"),
        ("capture -o x", "vmstate capture: a command line of QEMU is needed, after --"),
        ("replay x --timeout 20", "vmstate replay: a command line of QEMU is needed, after --"),
        ("replay x qemu-system-ppc64 -- ", "vmstate replay: a command line of QEMU is needed, after --"),
        ("replay x y -- qemu", "vmstate replay: unexpected argument: y"),
    ],
)
def test_a_mistake_is_named_on_the_first_line(line, said, capsys):
    assert cli.main(line.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("", said)


def test_options_before_the_command_are_the_commands(tmp_path, capsys):
    assert cli.main(["--json", "unwrap", str(tmp_path / "no")]) == 2
    assert capsys.readouterr().out.startswith('{"command": "unwrap"')


def test_a_value_may_begin_with_a_dash():
    assert read("matrix --rest=-nodefaults").rest == "-nodefaults"
    assert command_parser("matrix").read(["--rest", "-nodefaults -m 256"]).rest == "-nodefaults -m 256"
    assert command_parser("explain").read(["-machine foo: not found"]).what == ["-machine foo: not found"]
    assert read("edit x -o y -- -1=2").changes == ["-1=2"]
