"""Pages: self-contained, everything escaped, readable colours; their data are those of the commands."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vmstate
from tests.support import corpus
from vmstate.cli import main
from vmstate.matrix.cells import Kind
from vmstate.matrix.judging import MatrixQuestion
from vmstate.matrix.matrix import make_matrix
from vmstate.proposals.chosen_set import ChosenSet

pytest.importorskip("jinja2")

from vmstate.pages.diff_page import diff_page
from vmstate.pages.matrix_page import matrix_page
from vmstate.pages.rendering import as_json, packed, render
from vmstate.pages.stream_page import stream_page
from vmstate.workers import Workers

NAME = "7.2-pseries-7.2"
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=hacked=1>&amp;\u2028"
QUESTION = MatrixQuestion(
    ChosenSet(
        releases=("7.2", "9.2", "10.0", "11.1"),
        types=("pseries-7.2", "pseries-9.2"),
        cpus=("power9", "power10"),
        hosts=("tcg",),
        ic_modes=("", "dual"),
        compat_modes=("",),
        options=("cap-htm=off",),
    )
)


class Parsed(HTMLParser):
    """What a browser makes of a page: elements with their attributes, texts of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.styles, self._into = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._into = {"script": self.scripts, "style": self.styles}.get(tag)

    def handle_endtag(self, tag):
        self._into = None

    def handle_data(self, data):
        if self._into is not None:
            self._into.append(data)

    @property
    def data(self):
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def matrix():
    return make_matrix(QUESTION, Workers(1))


@pytest.fixture(scope="module")
def pages(matrix):
    with vmstate.open(corpus.path(NAME)) as one, vmstate.open(corpus.path("7.2-default")) as other:
        return {
            "matrix": matrix_page(matrix),
            "stream": stream_page(one, f"{HOSTILE}.mig"),
            "diff": diff_page(one, other, vmstate.diff(one, other)),
        }


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_data_in_a_script_element_is_the_same_data_and_no_markup(value):
    text = as_json([value, HOSTILE])
    assert not set("<>&\u2028\u2029") & set(text)
    cleaned = json.loads(json.dumps([value, HOSTILE]).encode("utf-8", "replace"))
    assert json.loads(text.encode()) == json.loads(json.dumps(cleaned).encode()) or "?" in text


@pytest.mark.parametrize("name", ["matrix", "stream", "diff"])
def test_a_page_refers_to_nothing_outside(pages, name):
    page = Parsed(pages[name])
    references = [
        value
        for _, attributes in page.elements
        for key, value in attributes.items()
        if key in ("src", "href", "action", "data", "srcset")
    ]
    assert references == ["#main"]
    assert "url(" not in page.styles[0]
    assert "@import" not in page.styles[0]
    assert set(re.findall(r"https?://[^\"' ]+", page.scripts[1])) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", ["matrix", "stream", "diff"])
def test_the_policy_lets_only_the_pages_own_script_and_style_run(pages, name):
    page = Parsed(pages[name])
    assert [tag for tag, _ in page.elements].count("script") == 2 == len(page.scripts)
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    for text in (page.scripts[1], page.styles[0]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not any(key.startswith("on") or key == "style" for _, a in page.elements for key in a)


def test_hostile_names_are_text(pages):
    assert "<img" not in pages["stream"]
    assert "<script>window" not in pages["stream"]
    text = render("diff", HOSTILE, {"sides": [], "rows": []}, left=HOSTILE, right="'\"", count=1)
    assert [tag for tag, _ in Parsed(text).elements].count("script") == 2
    assert "<img" not in text


def test_scripts_never_make_markup_of_text():
    for path in (Path(vmstate.__file__).parent / "pages").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", path.read_text()
        )


def test_the_matrix_page_has_the_matrix(pages, matrix):
    data = Parsed(pages["matrix"]).data
    kinds = [name for name, _, _ in data["kinds"]]
    counted = Counter()
    for grid, row in zip(matrix.grids, data["grids"], strict=True):
        cells = np.frombuffer(base64.b64decode(row[-1]), "<u2").reshape(grid.cells.shape).astype(int) - 1
        assert (cells == grid.cells).all()
        counted.update(kinds[data["verdicts"][number][0]] for number in cells.ravel() if number >= 0)
    assert counted == {str(kind): count for kind, count in matrix.counts().items()}
    for cell, verdict in zip(matrix.cells, data["verdicts"], strict=True):
        assert [data["texts"][n] for n in verdict[3]] == list(cell.messages)
        assert (verdict[7] is not None) == (cell.kind in (Kind.REJECT, Kind.WARN))


def test_a_trace_ends_with_checks_that_failed_among_them_the_one_that_decided(pages, matrix):
    data = Parsed(pages["matrix"]).data
    for cell, verdict in zip(matrix.cells, data["verdicts"], strict=True):
        if cell.kind is Kind.REJECT:
            lines = [data["texts"][number] for number in verdict[7][2]]
            assert lines[-1].startswith("NO ")
            assert any(line.startswith(f"NO  {cell.decided_by.rule} ") for line in lines)


def test_every_cause_has_its_pairs_and_an_example_that_is_one(pages, matrix):
    data = Parsed(pages["matrix"]).data
    assert sum(cause[3] for cause in data["causes"]) == sum(
        count for kind, count in matrix.counts().items() if kind is not Kind.ACCEPT
    )
    for cause in data["causes"]:
        grid, source, destination = cause[4]
        assert int(matrix.grids[grid].cells[source, destination]) in cause[5]


def test_the_history_of_a_device_has_its_runs_of_releases(pages, matrix):
    data = Parsed(pages["matrix"]).data
    devices = {name: rows for name, _, _, rows in data["devices"]}
    slb = next(runs for path, _, _, runs in devices["cpu"] if path == "cpu/slb")
    assert slb == [[0, 0, "1"], [1, 3, "2"]]  # version 2 since 9.2
    for rows in devices.values():
        for _, _, _, runs in rows:
            flat = [place for first, last, _ in runs for place in (first, last)]
            assert flat == sorted(flat)
            assert flat[-1] < len(matrix.programs)


def test_the_stream_page_has_every_byte_once(pages):
    nodes = Parsed(pages["stream"]).data["nodes"]
    inside = {}
    for number, node in enumerate(nodes):
        assert node[0] < number
        inside.setdefault(node[0], []).append(node)
    for parent, children in inside.items():
        start, end = (
            (0, len(corpus.load(NAME))) if parent < 0 else (nodes[parent][5], sum(nodes[parent][5:7]))
        )
        assert all(start <= child[5] and child[5] + child[6] <= end for child in children)
        assert all(a[5] + a[6] <= b[5] for a, b in pairwise(children))
    assert sum(node[6] for node in inside[-1]) == len(corpus.load(NAME))


def test_the_bytes_on_the_stream_page_are_those_of_the_stream(pages):
    data, stream = Parsed(pages["stream"]).data, corpus.load(NAME)
    checked = 0
    for node in data["nodes"]:
        if node[8] is not None:
            assert base64.b64decode(node[8]) == stream[node[5] : node[5] + node[6]]
            checked += 1
    assert checked > 100


def test_findings_of_a_damaged_stream_are_on_its_page(tmp_path):
    damaged = tmp_path / "damaged.mig"
    damaged.write_bytes(corpus.load(NAME)[:-30_000])
    with vmstate.open(damaged) as stream:
        data = Parsed(stream_page(stream, "damaged")).data
        assert [one["rule"] for one in data["findings"]] == [one.rule for one in stream.findings] != []


def test_the_commands_write_pages(tmp_path, capsys):
    stream, other = str(corpus.path(NAME)), str(corpus.path("7.2-default"))
    out = tmp_path / "out.html"
    assert main(["show", stream, "--html", str(out)]) == 0
    assert Parsed(out.read_text()).data["size"] == len(corpus.load(NAME))
    assert main(["diff", stream, other, "--html", str(out)]) == 1
    assert len(Parsed(out.read_text()).data["rows"]) == capsys.readouterr().out.count("\n") > 0
    words = ["--machine", "pseries-10.0", "--releases", "10.0..11.1", "--cpu", "power10", "--jobs", "1"]
    assert main(["matrix", *words, "--html", str(out)]) == 0
    assert Parsed(out.read_text()).data["programs"][0] == "10.0.13"
    assert main(["show", stream, "cpu", "--html", str(out)]) == 2


def test_without_jinja2_a_page_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["show", str(corpus.path(NAME)), "--html", str(tmp_path / "out.html")]) == 2
    assert "pip install 'qemu-vmstate[html]'" in capsys.readouterr().err
    assert not (tmp_path / "out.html").exists()


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(scheme):
    style = (Path(vmstate.__file__).parent / "pages" / "page.css").read_text()
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))
    pairs = [(f"on-{kind}", str(kind)) for kind in Kind if kind is not Kind.ABSENT]
    pairs += [(text, back) for text in ("ink", "dim") for back in ("back", "panel")]
    pairs += [("ink", "mark"), ("panel", "one"), ("panel", "two")]
    assert {
        pair: ratio for pair in pairs if (ratio := _contrast(*(colours[one] for one in pair))) < 4.5
    } == {}


def test_numbers_are_packed_least_significant_first():
    assert base64.b64decode(packed(np.array([[1, 0x203]]))) == b"\1\0\3\2"
