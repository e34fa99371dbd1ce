"""What the README says is so: its example runs and prints that, its table has every command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from vmstate.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def block(language):
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL).group(1)


def test_the_example_prints_what_the_readme_says(tmp_path):
    shutil.copy(ROOT / "streams" / "7.2-max-compat-power8.mig.zst", tmp_path / "guest.mig.zst")
    done = subprocess.run(
        [sys.executable, "-c", block("python")], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == (block("text"), "")


def test_the_proposal_runs_outside_of_the_project(tmp_path):
    text = (ROOT / "docs" / "proposals.md").read_text(encoding="utf-8")
    proposal = re.findall(r"```python-file\n(.*?)```", text, re.DOTALL)[0]
    (tmp_path / "cap-safe.py").write_text(proposal)
    narrow = ["--releases", "7.0", "--types", "pseries-7.0", "--hosts", "tcg", "--cpus", "default"]
    done = subprocess.run(
        [sys.executable, "-m", "vmstate", "whatif", "cap-safe.py", *narrow],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert "qemu-7.2.22+cap-safe -machine pseries-7.0,ic-mode=xive" in done.stdout
    assert "cap-safe lower level (0) in incoming stream than on destination (1)" in done.stdout


def test_the_table_has_every_command():
    first = re.findall(r"^\|(.*?)\|", README, re.MULTILINE)
    assert {name for cell in first for name in re.findall(r"`vmstate ([\w-]+)", cell)} == set(COMMANDS)


def test_the_readme_is_a_page():
    assert README.count("\n") <= 120


def test_the_walk_with_a_device_finds_what_it_says(tmp_path, capsys):
    walk = re.search(r"## Fuzz your own device.*?```sh\n(.*?)```(.*?)\n## ", README, re.DOTALL)
    assert walk is not None
    said = ""
    for line in walk[1].splitlines():
        words = shlex.split(line, comments=True)
        words = words if words[0] == "cp" else [sys.executable, "-m", *words]
        (tmp_path / "docs").is_symlink() or (tmp_path / "docs").symlink_to(ROOT / "docs")
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode in (0, 1), done.stderr
        said += done.stdout + done.stderr
    claims = re.findall(r"`([^`]*\bring\b[^`]*|[^`]*elements come[^`]*)`", walk[2].replace("\n", " "))
    assert len(claims) == 3
    for claim in claims:
        assert claim in said


def test_the_figures_of_devices_and_properties_are_those_of_their_pages():
    text = " ".join(README.split())
    docs = Path(__file__).parent.parent / "docs"
    properties = re.search(
        r"(\d+) properties: (\d+) modelled, (\d+) harmless, (\d+) not modelled",
        (docs / "properties.md").read_text(encoding="utf-8"),
    )
    every, modelled, harmless, others = (f"{int(one):,}" for one in properties.groups())
    assert f"of {every}, {modelled} are modelled, {harmless} cannot change a stream, and {others} are" in text
    row = re.search(r"\| 7\.2\.22 \|(.*)\|", (docs / "devices.md").read_text(encoding="utf-8"))[1].split("|")
    counts = [int(one) for one in row]
    assert (
        f"of 7.2.22's {sum(counts)}, {counts[0]} are modelled, {counts[1]} recorded, {counts[2]} refused"
        in text
    )


def test_advice_to_install_names_the_distribution():
    """``vmstate`` on the public index is somebody else's: every advice says ``qemu-vmstate``."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    files += [
        path
        for folder in ("vmstate", "docs", "tools")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".yml", ".toml", ".sh", ""} and path.is_file()
    ]
    wrong = re.compile(r"pip install [^\n`]*(?<![\w-])vmstate\b|(?<![\w.-])vmstate\[\w+\]")
    assert [path for path in files if wrong.search(path.read_text(encoding="utf-8"))] == []


def test_every_extra_for_users_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "qemu-vmstate"
    assert project["scripts"] == {"vmstate": "vmstate.__main__:command"}
    developers = {"test", "browser", "atheris", "check", "docs"}
    text = README.split("\n## ")[0]
    named = {name for names in re.findall(r"\[([\w,]+)\]`", text) for name in names.split(",")}
    assert named == set(project["optional-dependencies"]) - developers
    packages = {re.split(r"[<>=]", one)[0] for one in project["dependencies"]}
    assert len(packages) == 4
    assert all(package in text for package in packages)
