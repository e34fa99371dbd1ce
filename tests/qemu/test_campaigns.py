"""Campaigns of tools/judge: the seed determines the questions; a few are given to the installed QEMUs."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.machines import TCG
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.judge.campaigns import Campaign
from vmstate.judge.comparison import Answer, Comparison
from vmstate.judge.disagreements import Disagreement, explaining, read_disagreements
from vmstate.judge.groups import compared, modelled, read_groups
from vmstate.judge.judge import Judge
from vmstate.judge.line_guesses import LineGuesses
from vmstate.judge.property_guesses import PropertyGuesses, of_features
from vmstate.judge.random_machines import Guesses
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.startup.command_line import configuration
from vmstate.qemu import find_all
from vmstate.simulate.migration import migrate

ROOT = Path(__file__).resolve().parents[2]


def guesses(seed, count=150):
    made = Guesses(seed, rich=True)
    older, newer = Release.parse("7.2.22"), Release.parse("10.0.13")
    return [made.pair(older, newer) for _ in range(count)]


def test_guesses_depend_on_the_seed():
    assert guesses(1) == guesses(1) != guesses(2)


def test_guesses_are_modelled_and_have_all_outcomes():
    outcomes = set()
    for first, second in guesses(4):
        try:
            source = configuration(CATALOGUE.release("7.2"), first.arguments())
            destination = configuration(CATALOGUE.release("10.0"), second.arguments())
            outcomes.add(str(migrate(source, destination).outcome))
        except ConfigurationError:
            continue
    assert outcomes == {"accept", "reject", "source-refused", "destination-refused"}


def comparison(real, simulated, line="x"):
    return Comparison(Answer(real, (line,)), Answer(simulated, (line,)))


def test_a_crash_is_a_reject():
    assert comparison("crash", "reject").same_outcome
    assert not comparison("crash", "accept").same_outcome
    assert not comparison("stalled", "reject").same_outcome


def test_lines_about_the_installation_are_not_a_difference():
    noise = "failed to open module: /usr/lib/qemu/audio-alsa.so: undefined symbol: audio_calloc"
    assert Comparison(Answer("accept", (noise,)), Answer("accept")).same


def test_every_known_disagreement_has_a_name_and_a_reason():
    known = read_disagreements(ROOT / "fixtures" / "disagreements.toml")
    assert len({one.name for one in known}) == len(known)
    assert all(one.reason for one in known)
    assertion = "../../hw/ppc/spapr.c:2363: htab_load: Assertion `kvm_enabled()' failed."
    compared = Comparison(Answer("crash", (assertion,)), Answer("reject", (assertion[31:],)))
    assert explaining(compared, known) == "assertion"
    assert explaining(comparison("accept", "reject"), known) is None


def test_a_difference_of_lines_does_not_explain_one_of_outcome():
    only_lines = Disagreement("d", re.compile("x"), "because")
    assert only_lines.explains(comparison("reject", "reject"))
    assert not only_lines.explains(comparison("accept", "reject"))


@pytest.mark.parametrize("text", ["disagreement = 3", "[[disagreement]]\nname = 'x'", "not toml ="])
def test_a_malformed_list_is_refused(tmp_path, text):
    file = tmp_path / "d.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError):
        read_disagreements(file)


# ---- asking


@pytest.fixture(scope="module")
def there():
    binaries = {binary.release: binary for binary in find_all()}
    known = {release: binary for release, binary in binaries.items() if release.line in _lines()}
    if not known:
        pytest.skip("no qemu-system-ppc64 of a release that the simulator knows is installed")
    return known


def _lines():
    return {release.line for release in CATALOGUE.newest}


#: A QEMU that was installed without its recommended packages prints this about cards that need a ROM.
NO_FIRMWARE = "failed to find romfile"


def unexplained(comparisons):
    known = read_disagreements(ROOT / "fixtures" / "disagreements.toml")
    wrong = [c for c in comparisons if not c.same and explaining(c, known) is None]
    return [text for c in wrong if NO_FIRMWARE not in (text := json.dumps(c.as_json()))]


@pytest.mark.qemu
def test_simulated_streams_end_as_predicted_in_real_qemus(there):
    newest = max(there)
    assert unexplained(Campaign(Judge(there), 11, lambda _: None).streams(12, [newest])) == []


@pytest.mark.qemu
def test_whole_migrations_between_real_qemus_end_as_predicted(there):
    assert unexplained(Campaign(Judge(there), 12, lambda _: None).pairs(12, sorted(there))) == []


def groups(guesses, count):
    return list(itertools.islice(guesses.groups(5), count))


GUESSES = {
    "properties": lambda seed: PropertyGuesses(seed, RELEASES),
    "features": lambda seed: PropertyGuesses(seed, RELEASES, of_features),
    "lines": lambda seed: LineGuesses(seed, RELEASES),
}
RELEASES = [Release.parse(text) for text in ("5.2.0", "7.2.22", "11.1.3")]


@pytest.mark.parametrize("name", GUESSES)
def test_groups_depend_on_the_seed(name):
    first, again, other = (groups(GUESSES[name](seed), 5) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("name", GUESSES)
def test_groups_are_modelled_and_their_destinations_accept_and_reject(name):
    outcomes = Counter()
    for group in groups(GUESSES[name](3), 30):
        kept = modelled(group, lambda why: outcomes.update(["left out"]))
        for destination in kept[1] if kept is not None else ():
            outcomes[str(migrate(kept[0].configuration(), destination.configuration()).outcome)] += 1
    assert outcomes["accept"] > 5
    assert outcomes["reject"] > 5
    assert outcomes["left out"] < 75


def test_properties_have_wrong_names_and_wrong_values():
    sides = [side for group in groups(PropertyGuesses(4, RELEASES), 60) for side in (group[0], *group[1])]
    words = " ".join(word for side in sides for word in side.arguments)
    assert all(wrong in words for wrong in (",foo=1", "=maybe", "-global "))


def test_lines_are_json_where_qemu_reads_it():
    sides = {group[0].release: group[0] for group in groups(LineGuesses(5, RELEASES), 30)}
    assert [("{" in " ".join(sides[release].arguments[-1:])) for release in RELEASES] == [False, True, True]


def recorded_group(verdict, *, ok=True):
    machine = {"release": "7.2.22", "args": ["-machine", f"pseries-7.2,{TCG}", "-m", "256"]}
    save = {"ok": ok, "stderr": []}
    rows = [
        {"source": machine, "save": save, "destination": machine, "load": {"verdict": verdict, "stderr": []}}
    ]
    return rows * 2


def test_a_recorded_group_is_compared_row_by_row():
    assert [one.same for one in compared(recorded_group("accept"))] == [True, True]
    assert [one.same for one in compared(recorded_group("reject"))] == [False, False]
    assert [one.same_outcome for one in compared(recorded_group("accept", ok=False))] == [False, False]


def test_recorded_rows_are_read_as_groups():
    rows = [{"group": 4, "n": 1}, {"group": 4, "n": 2}, {"group": 7, "n": 3}]
    assert read_groups(map(json.dumps, rows)) == [rows[:2], rows[2:]]
