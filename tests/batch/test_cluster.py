"""A batch on a real Ray cluster of two machines, of which one is killed in the middle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed (the extra 'farm')")

from ray.cluster_utils import Cluster

from tests.batch.running import inodes, run, sounds


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without cores for workers, and two machines with two cores each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    small: dict[str, Any] = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    yield made
    made.shutdown()


def test_rows_of_a_killed_machine_are_run_again_and_none_is_lost_or_doubled(
    cluster: Cluster, tmp_path: Path
) -> None:
    count = 16
    source, out = sounds(tmp_path / "in", count), tmp_path / "out"
    nodes = [cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20) for _ in range(2)]
    cluster.wait_for_nodes()

    def kill() -> None:
        deadline = time.monotonic() + 120
        while len(list(out.glob("*.batch.json"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        cluster.remove_node(nodes[1], allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    ended = run(
        *(source, "--output", out, "--wait", "1.5", "--executor", "ray", "--cores", "1"),
        *("--ray-address", cluster.address),
    )
    killer.join()
    assert ended.code == 0, ended.said
    assert ended.report["executor"] == "ray"
    assert ended.report["counts"] == {"done": count, "finished before": 0, "failed": 0}
    assert [row["name"] for row in ended.report["rows"]] == [f"clip {n:03d}" for n in range(count)]
    # The two rows that the machine had begun, at least.
    assert ended.report["reruns"] >= 1
    assert ended.report["reruns"] == sum(row["runs"] - 1 for row in ended.report["rows"])
    assert {row["runs"] for row in ended.report["rows"]} >= {1, 2}
    for n in range(count):
        expected = (source / f"clip {n:03d}.wav").read_bytes()
        assert (out / f"clip {n:03d}.copy").read_bytes() == expected
        assert json.loads((out / f"clip {n:03d}.batch.json").read_text())["fingerprint"]
    files = {f"clip {n:03d}.{kind}" for n in range(count) for kind in ("batch.json", "copy", "twin")}
    assert {name for name in inodes(out) if "codetalker-part" not in name} == files
    again = run(source, "--output", out, "--wait", "1.5")  # here, what was made there
    assert again.report["counts"]["finished before"] == count


def test_no_cluster_is_one_sentence(tmp_path: Path) -> None:
    ended = run(
        *(sounds(tmp_path / "in", 1), "--output", tmp_path / "out", "--executor", "ray"),
        *("--ray-address", "127.0.0.1:1"),
    )
    assert ended.code == 2
    assert "There is no Ray cluster at '127.0.0.1:1'" in ended.said
