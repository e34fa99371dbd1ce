"""Explanations why a state could not be saved, made only after it failed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vmstate.describe.steps import Run, Step
from vmstate.errors import DeclarationError, EncodeError

if TYPE_CHECKING:
    from vmstate.describe.fields import Field

WRONG_SHAPE = (AttributeError, LookupError, TypeError, ValueError, OverflowError, struct.error)
"""The errors that Python raises for a value of an unexpected type or size."""
_HOOK = "raised by a hook"


def called(hook: Callable[[Any], int | None], state: Any) -> int | None:
    """Call a hook, and mark the errors that it raises: the state is not at fault."""
    try:
        return hook(state)
    except WRONG_SHAPE as error:
        error.add_note(_HOOK)
        raise


def wrong_shape(why: Exception, step: Step | None, state: Any) -> EncodeError | None:
    """Return the error that explains ``why``, which saving ``step`` (None: the subsections) raised.

    None if the state is not at fault, but a hook or the description.
    """
    if _HOOK in getattr(why, "__notes__", ()):
        return None
    if step is None:
        return EncodeError(f"the subsections cannot be chosen: {_text(why)}")
    field = _culprit(step, state)
    lacking = field.attr is not None and not hasattr(state, field.attr) and field.attr != "."
    if lacking:
        message = f"the state ({type(state).__name__}) has no attribute {field.attr!r}"
    elif isinstance(why, DeclarationError):
        if not _counts_missing(field, state):
            return None
        return EncodeError(str(why)).inside(field.name)
    else:
        message = f"{_found(field, state)}: {_text(why)}"
    return EncodeError(f"{field.name}: {message}").inside(field.name)


def _culprit(step: Step, state: Any) -> Field:
    """Return the field of a step that the state has no attribute for; else the step's first."""
    fields = step.fields if isinstance(step, Run) else ()
    return next((f for f in fields if f.attr is not None and not hasattr(state, f.attr)), step.field)


def _counts_missing(field: Field, state: Any) -> bool:
    numbers = [name for name in (field.count, field.size) if isinstance(name, str)]
    return any(not isinstance(getattr(state, name, None), int) for name in numbers)


def _text(why: Exception) -> str:
    return f"no element {why}" if isinstance(why, LookupError) else str(why)


def _found(field: Field, state: Any) -> str:
    """Return a few words for the value that the state has, and for what the description has in its place."""
    value = state if field.attr in (None, ".") else getattr(state, field.attr)
    needs = f"an array of {field.count}" if field.count is not None else field.info or "a struct"
    size = f" of {len(value)}" if hasattr(value, "__len__") else f" {value!r:.40}"
    return f"{type(value).__name__}{size} does not fit {needs}"
