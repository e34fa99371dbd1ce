"""The documentation site: each page is in its navigation, each link leads somewhere, it can be built."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_site import commands, linked

from vmstate.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
NAV = re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def test_each_page_is_in_the_navigation_once():
    generated = {"commands.md"} - {page.name for page in PAGES}
    assert sorted({*NAV} - generated) == sorted(page.name for page in PAGES), "mkdocs.yml, nav"
    assert len(NAV) == len({*NAV})


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    text = CODE.sub("", page.read_text("utf-8"))
    links = [link for link in LINK.findall(text) if not re.match("[a-z]+:", link)]
    assert [link for link in links if not leads(page, link)] == []


def leads(page, link):
    name, _, anchor = link.partition("#")
    target = page if not name else (page.parent / name).resolve()
    if not target.exists():
        return False
    return not anchor or anchor in {
        slug(line) for line in re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
    }


def slug(heading):
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=lambda page: page.name)
def test_mentions_of_pages_are_of_pages_that_are_there(page):
    named = set(re.findall(r"`docs/([\w-]+\.md)`", page.read_text("utf-8")))
    assert sorted(named - {one.name for one in PAGES} - {"commands.md"}) == []


def test_a_mention_of_a_page_becomes_a_link_with_its_title():
    assert linked("see `docs/fuzzing.md`.") == "see [Fuzzing migration streams](fuzzing.md)."
    assert linked("[hosts](../fixtures/hosts)") == "hosts"


def test_the_page_of_commands_has_the_help_of_each(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = commands()
    assert re.findall(r"^## vmstate (\S+)$", text, re.MULTILINE) == list(COMMANDS)
    assert max(map(len, text.splitlines())) <= 80


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="no mkdocs: install the extra docs")
    build = ("-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site"))
    done = subprocess.run([sys.executable, *build], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    pages = list((tmp_path / "site").glob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        assert re.findall(r'(?:src|<link[^>]* href)="https?:[^"]*"', page.read_text("utf-8")) == [], page.name
