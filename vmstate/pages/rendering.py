"""Make a page of a template, a style, a script and data.

Everything that comes from streams or command lines is either escaped by the template, or is data: JSON in a
``script`` element of another type, in which no ``<`` stands.  The scripts put it on the page as text only.
A page's policy (a CSP) lets only the style and the script run that are in it, by their digests, and
forbids every access to a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from vmstate import __version__
from vmstate.errors import ConfigurationError

_SCRIPTS = "common.js"
_STYLE = "page.css"


class HtmlUnavailable(ConfigurationError):
    """The package ``jinja2`` is not installed.  Install ``qemu-vmstate[html]``."""


def render(name: str, title: str, data: object, **values: object) -> str:
    """Return the page ``name``: its template with ``values``, its script with ``data``.

    Raises HtmlUnavailable.
    """
    style = _text(_STYLE)
    script = f"{_text(_SCRIPTS)}\n{_text(f'{name}.js')}"
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    markup = _markup()
    page: str = (
        _environment()
        .get_template(f"{name}.html")
        .render(
            title=title,
            version=__version__,
            policy=policy,
            style=markup(style),
            script=markup(script),
            data=markup(as_json(data)),
            **values,
        )
    )
    return page


def as_json(data: object) -> str:
    """Return JSON that may stand in a ``script`` element: without ``<``, ``>``, ``&``, U+2028 and U+2029."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    # Lone surrogates (bytes that are no UTF-8) cannot be in a file.
    return text.encode("utf-8", "replace").decode()


def packed(numbers: Any) -> str:
    """Return an array of numbers up to 65,535 as base64, two bytes each, least significant first."""
    return base64.b64encode(numbers.astype("<u2").tobytes()).decode()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(name: str) -> str:
    return files("vmstate.pages").joinpath(name).read_text("utf-8")


def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise HtmlUnavailable("a page needs the package jinja2: pip install 'qemu-vmstate[html]'") from error
    loader = jinja2.FunctionLoader(_text)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)


def _markup() -> Any:
    _environment()
    from markupsafe import Markup

    return Markup


class Texts:
    """Texts by number; equal ones are stored once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of a text."""
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def all(self) -> list[str]:
        """All texts, in the order of their numbers."""
        return list(self._numbers)
