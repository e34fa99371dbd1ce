"""The frame of the sections: the configuration section and the footers, which old types do not send.

Both came with 2.4: a machine type up to 2.3 has neither, on either side (hw/core/machine.c hw_compat_2_3).
"""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.conversion import sections
from vmstate.conversion.change import Change, Notice
from vmstate.conversion.machine_types import machine_type, renamed
from vmstate.conversion.problem import Problem, PseriesProblem
from vmstate.dataclass import replace
from vmstate.errors import Unsupported
from vmstate.savevm.verdict import Check
from vmstate.stream import writer
from vmstate.stream.constants import FILE_HEADER_SIZE, SectionType
from vmstate.stream.edit import Bytes, Edit
from vmstate.stream.items import Found, Section
from vmstate.stream.reader import Stream
from vmstate.tree.contents import Contents

#: The type that a stream without a configuration section is taken for; those before it have its capabilities.
NEWEST_WITHOUT = "pseries-2.3"
_KNOWN_ENDS = frozenset({Found.LIVE, Found.VMDESC, Found.DECLARED})


# ---- the configuration section


def configuration_missing(problem: PseriesProblem) -> Iterator[Change]:
    """Let the stream name the newest type that does not name itself; that type is compared next."""
    yield _with_configuration(problem, NEWEST_WITHOUT, f"which type up to {NEWEST_WITHOUT} it is of")


def any_configuration_missing(problem: Problem) -> Iterator[Change]:
    """Let the stream name the destination's type."""
    yield _with_configuration(
        problem, problem.destination.machine_type, "its machine type, and what that decides"
    )


def _with_configuration(problem: Problem, name: str, unsaid: str) -> Change:
    """Return the change that names a type; footers come with it, as each end is known only before it."""
    stream = problem.contents.stream
    bare = not stream.footers and _first_guess(stream) is None
    what = f"the stream gets a configuration section, which names {name}{', and footers' if bare else ''}"
    lost = f"nothing; but the stream does not say {unsaid}"

    def rewritten(contents: Contents) -> Iterator[Bytes]:
        edit = Edit(contents.stream)
        edit.insert(FILE_HEADER_SIZE, writer.configuration(name))
        if bare:
            _add_footers(edit)
        return edit.chunks()

    return Change(problem.rule, what, lost, Notice.GUEST, rewrite=rewritten)


def unknown_type(problem: PseriesProblem) -> Iterator[Change]:
    """Leave out the configuration section, after its type has become the destination's, or all footers."""
    if _is_configuration(problem):
        as_refused = replace(problem, check=_other_type(problem))
        yield from (_without_configuration(problem, change) for change in machine_type(as_refused))
    else:
        yield _without_footers(problem)


def any_unknown_type(problem: Problem) -> Iterator[Change]:
    """Leave out the configuration section, or all footers."""
    if not _is_configuration(problem):
        yield _without_footers(problem)
        return
    change = renamed(replace(problem, check=_other_type(problem)))
    yield _without_configuration(problem, replace(change, notice=Notice.GUEST, edits=()))


def _is_configuration(problem: Problem) -> bool:
    configuration = problem.contents.stream.configuration
    return configuration is not None and problem.check.offset == configuration.start


def _other_type(problem: Problem) -> Check:
    configuration = problem.contents.stream.configuration
    assert configuration is not None
    return replace(problem.check, incoming=configuration.machine, local=problem.destination.machine_type)


def _without_configuration(problem: Problem, change: Change) -> Change:
    """Return a change of the machine type that also leaves out its name."""

    def rewritten(contents: Contents) -> Iterator[Bytes]:
        made = problem.destination.contents(change.applied(contents)) if change.edits else contents
        configuration = made.stream.configuration
        assert configuration is not None
        edit = Edit(made.stream)
        edit.replace(configuration.start, configuration.end, b"")
        return edit.chunks()

    what = f"{change.what}, and the configuration section, which names it, is left out"
    return replace(change, what=what, edits=(), rewrite=rewritten)


# ---- footers


def footer_missing(problem: Problem) -> Iterator[Change]:
    """Put footers behind all sections, or make an array as long as the destination's."""
    stream = problem.contents.stream
    if stream.footers:
        yield from sections.other_size(problem)
        return
    guess = _first_guess(stream)
    if guess is not None:
        raise Unsupported(f"where {guess} ends is a guess: no footer can be put behind it")
    what, lost = "every section gets a footer", "nothing: a footer only marks the end of a section"
    yield Change(problem.rule, what, lost, Notice.NOTHING, rewrite=_with_footers)


def _with_footers(contents: Contents) -> Iterator[Bytes]:
    edit = Edit(contents.stream)
    _add_footers(edit)
    return edit.chunks()


def _add_footers(edit: Edit) -> None:
    for section in edit.stream.sections:
        edit.insert(section.payload_end, writer.footer(section.section_id))


def _first_guess(stream: Stream) -> Section | None:
    """Return the first section whose end is not known, or that is in a package."""
    guesses = (one for one in stream.sections if one.depth or one.damaged or one.found not in _KNOWN_ENDS)
    return next(guesses, None)


def _without_footers(problem: Problem) -> Change:
    stream = problem.contents.stream
    kind = stream.data[problem.check.offset] if problem.check.offset is not None else None
    if not stream.footers or kind != SectionType.FOOTER:
        raise Unsupported(f"no change is known for a section of type {kind}")
    what, lost = "every section loses its footer", "nothing: a footer only marks the end of a section"
    return Change(problem.rule, what, lost, Notice.NOTHING, rewrite=_bare)


def _bare(contents: Contents) -> Iterator[Bytes]:
    edit = Edit(contents.stream)
    for section in contents.stream.sections:
        edit.replace(section.payload_end, section.end, b"")
    return edit.chunks()
