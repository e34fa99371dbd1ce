"""The pytest plugin, as a QEMU developer uses it: tests in a folder of their own, and the installed wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import corpus
from vmstate.errors import ConfigurationError
from vmstate.plugin.asking import Asker
from vmstate.plugin.matrices import matrix_cases

TESTS = """
import pytest
from vmstate.describe import UInt32, VMStateDescription

COMPAT = VMStateDescription("foo/compat", 1, 1, fields=[UInt32("pvr"), UInt32("limit")])
TCG = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"


def test_bump(migration):
    migration("qemu-10.0 -machine pseries-10.0").to("qemu-11.1 -machine pseries-10.0").accepts()
    migration("qemu-10.0 -machine pseries-10.0").to("qemu-11.1").accepts()


def test_a_capability(migration):
    newer = migration("qemu-11.1 -machine pseries-10.0,cap-dawr1=on -cpu power10")
    older = newer.to("qemu-10.0 -machine pseries-10.0,cap-dawr1=off -cpu power10")
    older.rejects("spapr", "cap-dawr1 higher level")


def test_an_old_break(migration):
    case = migration("qemu-9.2 -machine pseries-7.2").to("qemu-7.2 -machine pseries-7.2")
    case.rejects("cpu/slb: incoming version_id 2 is too new")
    assert case.outcome == "reject"
    assert case.messages[-1] == "load of migration failed: Invalid argument"


def test_refusals(migration):
    none = "qemu-11.1 -machine pseries-10.0,cap-htm=on"
    migration(none).to("qemu-10.0").source_refused("No Transactional Memory support in TCG")
    migration("qemu-10.0").to("qemu-10.0 -machine nonsense").destination_refused("nonsense").refused()


def test_a_guest(migration):
    booted = migration("qemu-10.0 -machine pseries-10.0 -cpu power9", guest="linux-6.1")
    booted.to("qemu-11.1 -machine pseries-10.0 -cpu power9").accepts()


def test_events(migration):
    machine = "qemu-10.0 -m 1G,slots=2,maxmem=2G"
    memory = ["object_add memory-backend-ram,id=m,size=512M", "device_add pc-dimm,id=d,memdev=m"]
    migration(machine, events=memory).to(machine).rejects()


@pytest.mark.vmstate_matrix(machine="pseries-10.0", releases="10.0..11.1", both_ways=True)
def test_all(case):
    case.check()


@pytest.mark.vmstate_matrix(machine="pseries-9.2", releases="9.2,10.0", cpu="power9,power10",
                            expect={"10.0.*->9.2.*": "reject: icp/server"})
def test_known(case):
    case.check()


def test_a_stream(migration):
    sent = migration.stream("guest.mig.zst")
    sent.to("qemu-7.2 -nodefaults -machine pseries-7.2 -m 256").accepts()
    sent.to("qemu-7.2 -nodefaults -machine pseries-7.1 -m 256").rejects()


def test_golden(migration):
    machine = f"-nodefaults -machine pseries-10.0,{TCG} -m 256"
    golden = migration(f"qemu-11.1 {machine}").golden("pseries-10.0")
    golden.to(f"qemu-10.0 {machine}").accepts()


def test_layout(vmstate_layout):
    vmstate_layout(COMPAT).unchanged()
"""

#: Tests that fail, each for one reason; those of golden streams and layouts find other ones recorded.
FAILING = """
import pytest
from vmstate.describe import UInt32, VMStateDescription

SAME = "qemu-10.0 -machine pseries-10.0"
CLAIMS = {
    "rejects": lambda case: case.rejects(),
    "line": lambda case: case.accepts("no such line"),
    "refused": lambda case: case.refused(),
    "crashes": lambda case: case.crashes(),
    "prints": lambda case: case.prints("one"),
    "check": lambda case: case.check("reject: x"),
}


def test_explained(migration):
    migration("qemu-9.2 -machine pseries-7.2").to("qemu-7.2 -machine pseries-7.2").accepts()


@pytest.mark.parametrize("claim", CLAIMS)
def test_claim(migration, claim):
    CLAIMS[claim](migration(SAME).to(SAME))


def test_unknown(migration, monkeypatch):
    from vmstate.errors import NotModelled
    from vmstate.pseries.devices.host.globalstate import GlobalState

    def take_over(state):
        raise NotModelled("what comes now")

    monkeypatch.setattr(GlobalState, "take_over", take_over)
    migration(SAME).to(SAME).rejects()


def test_unread(migration):
    migration("qemu-10.0 -loadvm x").to(SAME).accepts()


def test_no_golden(migration):
    migration(SAME).golden("none")


def test_other_golden(migration):
    migration("qemu-11.1 -nodefaults -machine pseries-10.0 -m 256 -cpu power9").golden("pseries-10.0")


def test_no_layout(vmstate_layout):
    vmstate_layout(VMStateDescription("none", 1, 1, fields=[])).unchanged()


def test_other_layout(vmstate_layout):
    fields = [UInt32("pvr"), UInt32("limit"), UInt32("next")]
    vmstate_layout(VMStateDescription("foo/compat", 1, 1, fields=fields)).unchanged()
"""

REAL = """
def test_liar(migration):
    migration("qemu-10.0 -machine pseries-10.0").to("qemu-11.1").accepts()


def test_missing(migration):
    migration("qemu-10.2").to("qemu-10.2").accepts()
"""

QEMU = "qemu-system-ppc64"

#: A program that calls itself a QEMU and refuses everything.
LIAR = f"""#!{sys.executable}
import sys
if "--version" in sys.argv:
    print("QEMU emulator version 11.1.3")
else:
    print("qemu-system-ppc64: I do not like this machine", file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("qemu") / "tests"
    made.mkdir()
    (made / "test_migration.py").write_text(TESTS)
    shutil.copy(corpus.path("7.2-pseries-7.2"), made / "guest.mig.zst")
    done = pytest_in(made, None, "--version")  # fails early where there is no pytest
    assert done.returncode == 0
    return made


def pytest_in(folder, site, *words):
    """Run pytest in a folder; what it makes of the modules is kept, as it is for a developer."""
    left_out = ("PYTEST", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def counts(done):
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}


@pytest.fixture(scope="module")
def recorded(folder, site):
    """The folder after a run that has recorded the golden stream and the layout."""
    updating = ("--update-golden", "--update-layouts")
    done = pytest_in(folder, site, "-q", "-W", "error", "--strict-markers", *updating)
    assert counts(done) == {"passed": 9 + 5 * 5 + 2 * 2 * 2}, done.stdout
    return folder


def test_the_tests_of_a_qemu_developer_pass_with_what_they_have_recorded(recorded, site):
    done = pytest_in(recorded, site, "-q")
    assert counts(done) == {"passed": 42}, done.stdout


def test_the_same_with_many_workers(recorded, site):
    """Workers that record at once leave whole files."""
    pytest.importorskip("xdist")
    done = pytest_in(recorded, site, "-q", "-n", "2", "--update-golden", "--update-layouts")
    assert counts(done) == {"passed": 42}, done.stdout
    assert [path.name for path in (recorded / "golden").iterdir()] == ["pseries-10.0.mig.zst"]


def test_a_recorded_layout_is_a_line_for_each_field(recorded):
    rows = json.loads((recorded / "layouts" / "foo-compat.json").read_text())
    assert [row["path"] for row in rows] == ["foo/compat", "foo/compat.pvr", "foo/compat.limit"]
    assert rows[1]["type"] == "uint32"


def test_nothing_of_the_package_is_imported_in_a_run_that_does_not_use_it(tmp_path, site):
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    ours = ('vmstate', 'numpy', 'construct')\n"
        "    known = {name for name in sys.modules if name.split('.')[0] in ours}\n"
        "    assert known == {'vmstate', 'vmstate.plugin'}\n"
    )
    done = pytest_in(tmp_path, site, "-q", "-W", "error", "--strict-config")
    assert counts(done) == {"passed": 1}, done.stdout


def reports(done):
    """What a run says about each test that failed, by its name."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout
    parts = re.split(r"^_+ (\S+) _+$", done.stdout.partition("short test summary")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def failures(recorded, site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing")
    for name in ("golden", "layouts"):
        shutil.copytree(recorded / name, folder / name)
    (folder / "test_it.py").write_text(FAILING)
    done = pytest_in(folder, site, "-q")
    assert "passed" not in counts(done)
    assert not (folder / "golden" / "none.mig.zst").exists()
    return reports(done)


def test_a_failure_is_the_explanation(failures):
    out = failures["test_explained"]
    assert "expected accept, found reject" in out
    assert "cpu/slb: incoming version_id 2 is too new for local version_id 1" in out
    assert "decided by too-new cpu[0].cpu/slb" in out
    assert "printed by migration/vmstate.c" in out
    assert "no single change helps" in out or "changes that would make it work" in out
    assert re.search(r"the last of \d+ checks:", out)
    assert "vmstate migrate 'qemu-9.2.4 -machine pseries-7.2'" in out


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("rejects", "expected reject, found accept"),
        ("line", "expected 'no such line' as the section that decides or in a line, found neither"),
        ("refused", "expected refused, found accept"),
        ("crashes", "expected crash, found accept"),
        ("prints", "other lines of the destination: - one; + warning:"),
        ("check", "expected a line with 'x', found none"),
    ],
)
def test_a_claim_that_does_not_hold_fails(failures, claim, said):
    assert said in failures[f"test_claim[{claim}]"]


def test_what_cannot_be_judged_fails_and_says_so(failures):
    assert "the simulator cannot judge this; a real QEMU can" in failures["test_unknown"]
    assert "what comes now" in failures["test_unknown"]
    assert "option -loadvm is not modelled" in failures["test_unread"]


def test_a_missing_and_a_changed_golden_stream_fail(failures):
    assert "there is none: record it with --update-golden" in failures["test_no_golden"]
    assert "golden | sent:" in failures["test_other_golden"]
    assert "cpu.env.spr[287]" in failures["test_other_golden"]


def test_a_missing_and_a_changed_layout_fail(failures):
    assert "no layout is recorded" in failures["test_no_layout"]
    out = failures["test_other_layout"]
    assert re.search(r'^\+.*"foo/compat\.next"', out, re.MULTILINE)
    assert "--update-layouts" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"machine": "pseries-1.0"}, "no release of this matrix has a machine type 'pseries-1.0'"),
        ({"machnie": "pseries-7.2"}, "vmstate_matrix has no machnie"),
        ({"releases": "1.0"}, r"1\.0"),
        ({"machine": "pseries-7.2", "expect": {"*": "perhaps"}}, "expected one of accept"),
    ],
)
def test_a_wrong_matrix_is_an_error_of_its_own(arguments, message):
    with pytest.raises(pytest.UsageError, match=message):
        matrix_cases(Asker(), pytest.Mark("vmstate_matrix", (), arguments, _ispytest=True), "test_it")


def test_a_matrix_goes_both_ways_unless_asked_not_to():
    names = {}
    for both_ways in (True, False):
        arguments = {"machine": "pseries-9.2", "releases": "9.2,10.0", "both_ways": both_ways}
        marker = pytest.Mark("vmstate_matrix", (), arguments, _ispytest=True)
        names[both_ways] = [case.name for case in matrix_cases(Asker(), marker, "test_it")]
    assert names[False] == [name for name in names[True] if not name.startswith("10.0.13->9.2.4")]
    assert len(names[True]) == 4


@pytest.mark.parametrize("text", ["11.1", "=x", "11.1=", "eleven=x"])
def test_a_wrong_program_is_an_error(text):
    with pytest.raises(ConfigurationError, match="takes RELEASE=PATH"):
        Asker([text])


class TestRealQemus:
    def test_a_disagreement_names_both_and_a_missing_program_is_an_error(self, tmp_path, site):
        pytest.importorskip("qemu.qmp")
        liar = tmp_path / "qemu-liar"
        liar.write_text(LIAR)
        liar.chmod(0o755)
        (tmp_path / "test_it.py").write_text(REAL)
        programs = ("--qemu-binary", f"11.1={liar}", "--qemu-binary", "10.2=/no/such/program")
        done = pytest_in(tmp_path, site, "-q", "--tb=short", *programs)
        assert counts(done) == {"failed": 2}
        assert f"QEMU 11.1.3 ({liar}) and the simulator disagree:" in done.stdout
        assert "real: destination-refused" in done.stdout
        assert "I do not like this machine" in done.stdout
        assert "simulated: accept" in done.stdout
        assert "no program '/no/such/program'" in done.stdout

    @pytest.mark.qemu
    @pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"there is no {QEMU} in PATH")
    def test_the_same_tests_run_on_a_real_qemu(self, tmp_path, site):
        version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
        line = re.search(r"version (\d+\.\d+)", version.stdout)[1]
        machine = "-nodefaults -machine pseries-5.2,cap-htm=off -m 256"
        body = (
            f"def test_it(migration):\n"
            f"    same = migration('qemu-{line} {machine}').to('qemu-{line}').accepts()\n"
            f"    assert same.answered.real is not None and len(same.answered.by) == 2\n"
            f"    power9 = migration('qemu-{line} {machine} -cpu power9')\n"
            f"    power9.to('qemu-{line} {machine} -cpu power8').rejects()\n"
        )
        (tmp_path / "test_it.py").write_text(body)
        done = pytest_in(tmp_path, site, "-q", "--qemu-binary", f"{line}={QEMU}")
        assert counts(done) == {"passed": 1}, done.stdout


def test_the_document_shows_tests_that_pass(tmp_path, site):
    document = (Path(__file__).resolve().parents[2] / "docs" / "pytest.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    (tmp_path / "test_document.py").write_text("\n".join(blocks))
    done = pytest_in(tmp_path, site, "-q", "--update-golden", "--update-layouts")
    assert done.returncode == 0, done.stdout
