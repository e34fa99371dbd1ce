"""``vmstate fuzz`` and ``vmstate minimize``; the walkthrough of docs/fuzzing.md with a user's own device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vmstate.cli import main

ROOT = Path(__file__).resolve().parents[2]
RING = str(ROOT / "docs" / "examples" / "ring.py")
STREAM = str(ROOT / "streams" / "7.2-pseries-7.2.mig.zst")
ON = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"


def result(capsys, *arguments: str) -> tuple[int, dict]:
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_the_walkthrough_finds_and_shrinks_the_overflow_and_the_index_of_the_ring(capsys, tmp_path):
    folder = str(tmp_path / "ring")
    status, answer = result(capsys, "fuzz", "--device", RING, "--runs", "3000", "-o", folder)
    assert status == 1
    found = {one["signature"]: one for one in answer["result"]["found"]}
    assert "overflow of requests in ring" in found
    assert any(signature.startswith("IndexError in ring.py use") for signature in found)
    overflow = found["overflow of requests in ring"]
    assert overflow["text"].endswith("elements come for requests, which has room for 16")

    assert main(["minimize", folder, "--device", RING]) == 0
    shown = capsys.readouterr().out
    assert "overflow: ring: overflow of requests in ring" in shown
    status, answer = result(capsys, "minimize", folder, "--device", RING)
    assert status == 0
    for one in answer["result"]["recipes"]:
        assert len(one["recipe"]["mutations"]) == 1, "one mutation is enough for each of the two"


def test_a_folder_alone_starts_no_program_and_runs_no_code(capsys, tmp_path):
    mark = tmp_path / "was-run"
    device = tmp_path / "ring.py"
    device.write_text(Path(RING).read_text())
    assert main(["fuzz", "--device", str(device), "--runs", "300", "-o", str(tmp_path / "found")]) == 1
    state = json.loads((tmp_path / "found" / "state.json").read_text())
    state["plan"]["device"][1] = f"open({str(mark)!r}, 'w')\n" + state["plan"]["device"][1]
    (tmp_path / "found" / "state.json").write_text(json.dumps(state))
    capsys.readouterr()
    assert main(["minimize", str(tmp_path / "found")]) == 2
    assert f"if you trust the file, add --device {device}" in capsys.readouterr().err
    assert main(["minimize", str(tmp_path / "found"), "--device", str(device)]) == 0
    assert not mark.exists()

    del state["plan"]["device"]
    state["plan"] |= {"on": ON, "real": ["/usr/bin/touch", str(mark)]}
    (tmp_path / "found" / "state.json").write_text(json.dumps(state))
    assert main(["minimize", str(tmp_path / "found")]) == 2
    assert "if you trust it, add --against /usr/bin/touch" in capsys.readouterr().err
    assert not mark.exists()


def test_the_fixed_device_has_no_findings(capsys, tmp_path):
    text = Path(RING).read_text()
    fixed = text.replace(
        'fields=[UInt32("used"), ',
        'fields=[UInt32("used"), Validate("used fits", lambda ring, version: ring.used <= RING_SIZE), ',
    ).replace("UInt64, VMState", "UInt64, Validate, VMState")
    fixed = fixed.replace("ring.next > RING_SIZE", "ring.next >= RING_SIZE")
    file = tmp_path / "ring.py"
    file.write_text(fixed)
    status, answer = result(capsys, "fuzz", "--device", str(file), "--runs", "3000")
    assert answer["result"]["found"] == []
    assert status == 0


def test_a_check_in_post_load_comes_too_late(capsys, tmp_path):
    text = (
        Path(RING)
        .read_text()
        .replace("ring.next > RING_SIZE", "ring.next >= RING_SIZE or ring.used > RING_SIZE")
    )
    file = tmp_path / "ring.py"
    file.write_text(text)
    _, answer = result(capsys, "fuzz", "--device", str(file), "--runs", "1000", "--only", "counts")
    assert [one["kind"] for one in answer["result"]["found"]] == ["overflow"]


def test_a_campaign_against_the_simulator_is_reported_as_a_table(capsys):
    assert main(["fuzz", STREAM, "--on", ON, "--runs", "150", "--only", "sections", "--only", "footers"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("150 streams, ")
    assert "findings by signature: 0" in out
    assert "checks that decided, by kind of mutation:" in out


def test_a_recipe_runs_again(capsys, tmp_path):
    folder = tmp_path / "ring"
    main(["fuzz", "--device", RING, "--runs", "500", "-o", str(folder)])
    capsys.readouterr()
    line = (folder / "findings.jsonl").read_text().splitlines()[0]
    file = tmp_path / "one.jsonl"
    file.write_text(line + "\n")
    status, answer = result(capsys, "fuzz", "--device", RING, "--recipe", str(file))
    assert status == 1
    (one,) = answer["result"]["recipes"]
    assert one["findings"][0]["signature"] == json.loads(line)["signature"]


def test_mutations_are_listed(capsys):
    status, answer = result(capsys, "fuzz", "--list")
    assert status == 0
    assert {"counts", "sections", "footers"} <= {one["kind"] for one in answer["result"]["mutations"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fuzz"], "a stream to change is required"),
        (["fuzz", STREAM, "--against", "qemu-system-ppc64"], "--against needs --on"),
        (["fuzz", STREAM, "--device", RING], "its own stream and destination"),
        (["fuzz", STREAM, "--on", ON, "--only", "nothing"], "no mutation or kind of mutation"),
        (["fuzz", "--device", "no-such-file.py"], "no-such-file.py"),
        (["minimize", str(ROOT / "docs")], "not the folder of a campaign"),
    ],
)
def test_an_impossible_request_is_explained(capsys, arguments, words):
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("DESCRIPTION = 1", "it does not define device"),
        ("x = ", "SyntaxError"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
    ],
)
def test_a_file_that_is_not_a_device_is_an_error(capsys, tmp_path, text, words):
    file = tmp_path / "device.py"
    file.write_text(text)
    assert main(["fuzz", "--device", str(file)]) == 2
    assert words in capsys.readouterr().err
