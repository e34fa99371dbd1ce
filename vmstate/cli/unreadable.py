"""Inputs that are no text, or nest too deeply for their parser: the input's fault, wherever it is read."""

from __future__ import annotations

from vmstate.errors import ConfigurationError

_PARSERS = ("/json/", "/tomllib/")


def unreadable(error: BaseException) -> ConfigurationError | None:
    """Return the error of an input that Python's own readers of text, JSON and TOML gave up; else None."""
    if isinstance(error, UnicodeDecodeError):
        return ConfigurationError(
            f"an input is not text in UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}"
        )
    if isinstance(error, RecursionError):
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        if any(part in frame.filename for frame in frames[-3:] for part in _PARSERS):
            return ConfigurationError("an input in JSON or TOML is nested too deeply to be read")
    return None
