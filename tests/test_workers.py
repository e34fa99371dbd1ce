"""Work for many processes: rows stay in order, the lost are replaced or named, refusals come through."""

from __future__ import annotations

import json

import pytest

from tests.support import killed_worker
from vmstate.cli import main
from vmstate.errors import ConfigurationError
from vmstate.workers import WorkerLost, Workers, scheduled

QEMU = "qemu-7.2 -nodefaults -m 256"


def doubled(workers, folder, deadly=None):
    results = workers.ordered(killed_worker.begin, (str(folder), deadly), range(100), 3)
    return [number for some in results for number in some]


def rows(folder):
    """A batch: migrations of several kinds, an empty line and a wrong one."""
    sides = [QEMU, f"{QEMU} -machine pseries-6.2", "qemu-7.2 -m 512"]
    given = [json.dumps({"source": QEMU, "destination": sides[n % 3]}) for n in range(60)]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(["", "no JSON", *given]) + "\n")
    return str(path)


def answers(capsys, *words):
    status = main(["migrate", "--batch", *words])
    return status, capsys.readouterr().out


def test_two_processes_answer_in_the_order_of_one(tmp_path, capsys):
    one = answers(capsys, rows(tmp_path))
    assert one == answers(capsys, rows(tmp_path), "--jobs", "2")
    assert len(one[1].splitlines()) == 61


def test_a_process_that_dies_is_an_error_and_not_a_gap(tmp_path):
    with pytest.raises(WorkerLost):
        doubled(Workers(2), tmp_path, deadly=50)


def test_a_refusal_of_the_question_comes_from_the_workers(tmp_path, capsys):
    path = tmp_path / "wrong.py"
    path.write_text("1 / 0\n")
    assert answers(capsys, rows(tmp_path), "--jobs", "2", "--with", str(path))[0] == 2


def test_a_cluster_answers_in_order_and_survives_a_lost_worker(tmp_path, capsys, dask_cluster):
    address = dask_cluster.scheduler_address
    assert answers(capsys, rows(tmp_path)) == answers(capsys, rows(tmp_path), "--scheduler", address)
    assert doubled(Workers(scheduler=address), tmp_path, deadly=50) == list(range(0, 200, 2))


def test_matrix_and_whatif_on_a_cluster_are_those_of_one_process(capsys, dask_cluster):
    """All but the seconds that they took."""
    narrow = ["--releases", "9.2..10.0", "--host", "tcg", "--cpu", "power9", "--machine", "pseries-9.2"]
    small = ["gtse-as-posted", "--releases", "7.2", "--types", "pseries-7.2", "--hosts", "tcg"]
    for words in (["matrix", *narrow], ["whatif", *small]):
        found = []
        for where in (["--jobs", "1"], ["--scheduler", dask_cluster.scheduler_address]):
            main([*words, *where, "--json"])
            found.append(json.loads(capsys.readouterr().out))
            del found[-1]["result"]["seconds"]
        assert found[0] == found[1]


def test_a_missing_scheduler_is_a_configuration_error():
    pytest.importorskip("distributed", reason="Dask is not installed (qemu-vmstate[cluster])")
    with pytest.raises(ConfigurationError, match="no Dask scheduler"), scheduled("tcp://127.0.0.1:9", wait=1):
        pass
