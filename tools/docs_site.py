"""Hooks of mkdocs: the page of commands is made from their parsers; mentions of pages become links."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from vmstate.cli.commands import COMMANDS
from vmstate.cli.parsers import command_parser

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parents[1] / "docs"
_MENTION = re.compile(r"`docs/([\w-]+)\.md`")
_OUTSIDE = re.compile(r"\[([^]]+)\]\(\.\./[^)]+\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of commands."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "commands.md", content=commands()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Link the pages that a page mentions; what lies outside of the site is only named."""
    return linked(markdown)


def linked(markdown: str) -> str:
    """Return a page's text with mentions of pages as links, and links to the repository as text."""
    return _MENTION.sub(_link, _OUTSIDE.sub(r"\1", markdown))


def _link(found: re.Match[str]) -> str:
    page = DOCS / f"{found[1]}.md"
    title = page.read_text("utf-8").partition("\n")[0].removeprefix("# ").replace("`", "")
    return f"[{title}]({page.name})"


def commands() -> str:
    """Return the page of commands, in Markdown."""
    os.environ["COLUMNS"] = "80"
    chapters = (
        f"## vmstate {name}\n\n```text\n{command_parser(name).format_help()}```\n" for name in COMMANDS
    )
    return "# Commands\n\nAs `vmstate COMMAND --help` shows them.\n\n" + "\n".join(chapters)
