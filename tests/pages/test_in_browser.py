"""Pages in Chromium: clicked on, used by keyboard, read as a screen reader does."""

from __future__ import annotations

import random

import pytest

import vmstate
from tests.support import corpus
from tests.support.browser import Page, browser
from vmstate.matrix.judging import MatrixQuestion
from vmstate.matrix.matrix import make_matrix
from vmstate.proposals.chosen_set import ChosenSet
from vmstate.stream import open_stream

pytest.importorskip("jinja2")

from vmstate.pages.diff_page import diff_page
from vmstate.pages.matrix_page import _Data, matrix_page
from vmstate.pages.rendering import render
from vmstate.pages.stream_page import stream_page
from vmstate.workers import Workers

QUESTION = MatrixQuestion(
    ChosenSet(
        releases=("2.12", "4.2", "7.2", "9.2", "10.0", "11.1"),
        types=("pseries-2.12", "pseries-4.2", "pseries-9.2"),
        cpus=("", "power9"),
        hosts=("tcg", "p9-hv"),
        ic_modes=("", "dual"),
        compat_modes=("",),
        options=("cap-htm=off",),
    )
)
SELECTED = '#grid td[aria-selected="true"]'


@pytest.fixture(scope="module")
def driver():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def matrix():
    return make_matrix(QUESTION, Workers(1))


@pytest.fixture(scope="module")
def files(matrix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "matrix.html").write_text(matrix_page(matrix))
    with (
        vmstate.open(corpus.path("7.2-pseries-7.2")) as one,
        vmstate.open(corpus.path("7.2-default")) as other,
    ):
        (folder / "stream.html").write_text(stream_page(one, "7.2-pseries-7.2.mig"))
        (folder / "diff.html").write_text(diff_page(one, other, vmstate.diff(one, other)))
    return folder


@pytest.fixture
def page(driver, files, request):
    made = Page(driver).open(files / f"{request.param}.html")
    yield made
    assert made.complaints() == []


on = lambda name: pytest.mark.parametrize("page", [name], indirect=True)  # noqa: E731


def show(page, words, cell):
    """Open a machine by its small grid, then click a cell: source and destination."""
    number = page.run("return GRIDS.findIndex((grid) => gridWords(grid) === arguments[0])", words)
    mini = page.run("return minis.find((one) => one.grid.number === arguments[0]).button", number)
    page.run("arguments[0].scrollIntoView({block: 'center'})", mini)
    mini.click()
    page.click(f'#grid td[aria-label^="{cell}:"]')


@on("matrix")
def test_a_cell_opens_its_explanation(page):
    show(page, "pseries-4.2, tcg power9, cap-htm=off", "9.2.4 to 4.2.1")
    details = page.text("#details")
    assert "9.2.4 to 4.2.1" in details
    assert "cpu/slb: incoming version_id 2 is too new for local version_id 1" in details
    assert "vmstate migrate 'qemu-9.2.4 -machine pseries-4.2,cap-htm=off -cpu power9" in details
    assert "vmstate capture -o guest.mig -- qemu-9.2.4 -machine pseries-4.2" in details
    assert page.text("#trace").splitlines()[-1].startswith("NO ")


@on("matrix")
def test_a_refusal_shows_why_the_side_does_not_start(page):
    show(page, "pseries-4.2, tcg, ic-mode=dual, cap-htm=off", "4.2.1 to 4.2.1")
    before = page.text("#details")
    show(page, "pseries-2.12, tcg power9, cap-htm=off", "2.12.1 to 2.12.1")
    assert page.text("#details") != before


@on("matrix")
def test_the_grid_is_used_by_keys(page):
    show(page, "pseries-4.2, tcg power9, cap-htm=off", "4.2.1 to 4.2.1")
    page.keys("ARROW_DOWN", "ARROW_RIGHT")
    assert page.run("return document.activeElement.getAttribute('aria-label')").startswith("7.2.22 to 7.2.22")
    assert page.one(SELECTED).get_attribute("aria-label").startswith("4.2.1 to 4.2.1")
    page.keys("HOME", "ENTER")
    assert page.one(SELECTED).get_attribute("aria-label").startswith("7.2.22 to 4.2.1")
    assert "7.2.22 to 4.2.1" in page.text("#details")
    assert "7.2.22 to 4.2.1" in page.text("#said")
    page.keys("END", "PAGE_UP")
    assert page.run("return document.activeElement.getAttribute('aria-label')").startswith("4.2.1 to 10.0.13")
    assert len(page.all('#grid td[tabindex="0"]')) == 1


@on("matrix")
def test_the_small_grids_are_used_by_keys(page):
    page.run("minis[0].button.focus()")
    page.keys("ARROW_RIGHT", "ARROW_DOWN")
    words = page.run("return gridWords(document.activeElement.mini.grid)")
    first = page.run("return gridWords(minis[0].grid)")
    assert words.split(",")[0] != first.split(",")[0]
    page.keys("ENTER")
    assert page.text("#grid-title") == f"Releases: {words}"
    assert len(page.all('.mini[tabindex="0"]')) == len(page.all('.mini[aria-current="true"]')) == 1


@on("matrix")
def test_kinds_can_be_hidden(page):
    everything = page.text("#shown")
    page.click('#kinds button[data-kind="reject"]')
    assert page.one('#kinds button[data-kind="reject"]').get_attribute("aria-pressed") == "false"
    assert page.text("#shown") != everything
    show(page, "pseries-4.2, tcg power9, cap-htm=off", "9.2.4 to 4.2.1")
    assert "off" in page.one(SELECTED).get_attribute("class").split()
    assert "filtered out" in page.one(SELECTED).get_attribute("aria-label")
    page.click("#all")
    assert page.text("#shown") == everything


@on("matrix")
def test_machines_and_messages_are_searched(page, matrix):
    page.type("#types", "9.2")
    there = "return [...$('minis').tBodies[0].rows].filter((row) => !row.hidden)"
    rows = page.run(f"{there}.map((row) => row.cells[0].textContent)")
    assert rows == ["pseries-9.2"]
    page.type("#types", "")
    page.type("#search", "cpu/slb")
    page.run("$('types').dispatchEvent(new Event('input'))")
    wanted = sum(
        any("cpu/slb" in line for line in (*pair.cell.messages, str(pair.cell.decided_by)))
        for grid in matrix.grids
        for pair in matrix.pairs(grid)
    )
    assert page.text("#shown").startswith(f"{wanted} pairs")


@on("matrix")
def test_a_cause_shows_its_pairs_and_an_example(page, matrix):
    causes = matrix.causes()
    place = next(
        n for n, cause in enumerate(causes) if cause.decided_by and cause.decided_by.rule == "too-new"
    )
    page.click(f'#causes button[data-cause="{place}"]')
    assert page.text("#shown").startswith(f"{causes[place].pairs:,} pair")
    assert "too-new" in page.text("#details")
    assert page.one(SELECTED).get_attribute("class").split().count("off") == 0


@on("matrix")
def test_command_lines_are_those_of_the_simulator(page, matrix):
    pairs = [(n, pair) for n, grid in enumerate(matrix.grids) for pair in matrix.pairs(grid)]
    for number, pair in random.Random(3).sample(pairs, 60):
        script = (
            "const [grid, ...sides] = arguments; return sides.map((side) => commandLine(GRIDS[grid], side))"
        )
        assert page.run(script, number, pair.source, pair.destination) == list(matrix.sides(pair))


@on("matrix")
def test_small_grids_are_painted_in_the_colours_of_their_kinds(page):
    script = """
      const mini = minis.find((one) => gridWords(one.grid) === arguments[0]);
      paint(mini);
      const at = 4 * (DATA.programs.indexOf("9.2.4") * R + DATA.programs.indexOf("4.2.1"));
      return [...mini.canvas.getContext("2d").getImageData(0, 0, R, R).data.slice(at, at + 3)]
    """
    for scheme, colour in (("light", [0xB3, 0x26, 0x1E]), ("dark", [0xF2, 0x86, 0x7D])):
        page.prefer(scheme)
        page.wait("return String(colours.kinds[2]) === String(arguments[0])", colour)  # of a reject
        assert page.run(script, "pseries-4.2, tcg power9, cap-htm=off") == colour
    page.prefer("light")


@on("matrix")
def test_the_history_of_a_device_is_a_picture_and_words(page):
    from selenium.webdriver.support.ui import Select

    Select(page.one("#device")).select_by_visible_text("spapr_iommu")
    titles = page.run("return [...document.querySelectorAll('#history title')].map((one) => one.textContent)")
    assert any("version 3" in title for title in titles)
    page.click("#history summary")
    assert "spapr_iommu" in page.one("#history ul").text


@pytest.mark.parametrize("page", ["matrix", "stream", "diff"], indirect=True)
def test_a_screen_reader_finds_a_name_for_everything_that_can_be_used(page):
    found = page.accessible()
    used = {"button", "gridcell", "treeitem", "combobox", "searchbox", "textbox", "link", "heading", "row"}
    roles = {role for role, _ in found}
    assert {"main", "heading", "button"} <= roles
    assert [one for one in found if one[0] in used - {"row"} and not one[1].strip()] == []


@on("stream")
def test_a_part_is_found_shown_and_zoomed_into(page):
    page.type("#find", "env.nip")
    page.click("#next")
    assert page.text("#part-title") == "Part: env.nip"
    assert "cpu.env.nip" in page.text("#details")
    assert page.one('#tree [aria-selected="true"]').text.lstrip().startswith("env.nip")
    page.run("zoom(NODES.find((node) => node.name.startsWith('cpu') && node.kind === 'section'))")
    assert page.text("#where").startswith("cpu")
    page.click("#out")
    assert page.text("#where") == "the whole stream"


@on("stream")
def test_the_map_is_clicked_and_used_by_keys(page):
    page.click("#map button")
    first = page.text("#part-title")
    page.keys("ARROW_RIGHT")
    assert page.text("#part-title") != first
    page.keys("ARROW_DOWN", "ARROW_UP", "ENTER")
    assert page.text("#where") != "the whole stream"
    page.keys("ESCAPE")
    assert page.text("#where") == "the whole stream"


@on("stream")
def test_the_tree_is_used_by_keys(page):
    page.click("#tree [role=treeitem]")
    count = len(page.all("#tree [role=treeitem]"))
    page.keys("ARROW_LEFT", "END", "ARROW_RIGHT")
    assert len(page.all("#tree [role=treeitem]")) != count
    focus = "return document.activeElement.getAttribute('role')"
    assert page.run(focus) == "treeitem"
    page.keys("HOME")
    assert page.run("return document.activeElement === $('tree').firstElementChild")


@on("stream")
def test_true_widths_are_those_of_the_bytes(page):
    from selenium.webdriver.support.ui import Select

    Select(page.one("#scale")).select_by_value("bytes")
    widest = page.run("""
      const named = [...$("map").children].filter((one) => !one.classList.contains("many"));
      const first = named.filter((one) => one.style.top === "1px");
      const most = first.reduce((a, b) => parseFloat(a.style.width) > parseFloat(b.style.width) ? a : b);
      return most.dataset.node""")
    largest = page.run("return TOP.inside.reduce((a, b) => a.size > b.size ? a : b).number")
    assert int(widest) == largest


@on("diff")
def test_differences_are_filtered(page):
    total = page.run("return ROWS.length")
    section = page.run("return [...$('section').options].map((one) => one.value).find(Boolean)")
    from selenium.webdriver.support.ui import Select

    Select(page.one("#section")).select_by_value(section)
    rows = page.run("return $('rows').tBodies[0].rows.length")
    assert 0 < rows <= total
    page.click("#strips button.bad")
    assert page.one("#section").get_attribute("value") != ""


def hostile_stream(tmp_path):
    """A stream with a section whose name is markup."""
    name = "</script><img src=x onerror=window.hacked=1>"
    data = corpus.load("7.2-pseries-7.2")
    section = next(one for one in open_stream(data).sections if one.idstr == "globalstate")
    old = bytes([len("globalstate")]) + b"globalstate"
    assert data[section.start + 5 : section.start + 5 + len(old)] == old
    made = (
        data[: section.start + 5] + bytes([len(name)]) + name.encode() + data[section.start + 5 + len(old) :]
    )
    path = tmp_path / "hostile.mig"
    path.write_bytes(made)
    return path, name


def test_a_hostile_name_is_text_and_runs_nothing(driver, tmp_path):
    path, name = hostile_stream(tmp_path)
    with vmstate.open(path) as stream, vmstate.open(corpus.path("7.2-pseries-7.2")) as other:
        (tmp_path / "stream.html").write_text(stream_page(stream, name))
        (tmp_path / "diff.html").write_text(diff_page(stream, other, vmstate.diff(stream, other)))
    for file in ("stream.html", "diff.html"):
        page = Page(driver).open(tmp_path / file)
        assert name in page.run("return document.body.textContent")
        assert page.run("return [window.hacked === undefined, document.images.length]") == [True, 0]
        assert page.complaints() == []


def test_200_000_pairs_are_a_few_thousand_elements(driver, matrix, tmp_path):
    """Only the grid that is shown is in the document; the others are small pictures."""
    data = _Data(matrix, None).all()
    many = 200_000 // (len(data["programs"]) ** 2) + 1
    types = [f"pseries-{n}" for n in range(many // len(matrix.grids) + 1)]
    grids = [[t, *grid[1:]] for t in range(len(types)) for grid in data["grids"][: len(data["grids"]) // 3]]
    data["types"], data["grids"] = types, grids
    (tmp_path / "many.html").write_text(render("matrix", "many", data, pairs=200_000, complete=True))
    page = Page(driver).open(tmp_path / "many.html")
    assert page.run("return GRIDS.length") > 1000
    assert page.run("return $('grid').querySelectorAll('td.cell').length") <= len(data["programs"]) ** 2
    assert page.run("return minis.filter((one) => !one.dirty).length") < 400
    page.click('#kinds button[data-kind="accept"]')
    assert page.complaints() == []
