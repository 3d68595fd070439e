"""A disk that fills up in the middle of a study: one message, nothing broken, nothing paid twice."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.home import SECONDS, Home, until
from tests.provider import MODEL, provider

pytestmark = pytest.mark.slow

SIZE = 64 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 64 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


class Ballast:
    """A file that fills a disk."""

    def __init__(self, disk: Path) -> None:
        self.path = disk / "ballast"

    def load(self, leave: int) -> None:
        """Fill the disk up to some bytes."""
        room = os.statvfs(self.path.parent)
        with contextlib.suppress(OSError), self.path.open("ab", buffering=0) as file:  # a run may write meanwhile
            file.write(bytes(max(0, room.f_bavail * room.f_frsize - leave)))

    def unload(self) -> None:
        self.path.unlink()


@pytest.mark.parametrize("leave", [0, 64 * 1024])
def test_a_full_disk_is_one_message_and_the_next_run_goes_on(small_disk: Path, tmp_path: Path, leave: int) -> None:
    # Prefect's database is elsewhere, as it is for a user whose home folder of synthgap is a disk of its own.
    home = Home(small_disk / "home", {"PREFECT_HOME": str(tmp_path / "prefect")})
    home.path.mkdir()
    ballast = Ballast(small_disk)
    with provider(latency=0.5) as endpoint:
        writer = {"model": MODEL, "api_base": endpoint.url, "concurrency": 4}
        study = home.study(endpoint, "full", rows_per_label=20, generators=[writer])
        process = home.start("run", str(study))
        until(lambda: endpoint.stats()["answered"] >= 8 or process.poll() is not None, "some calls are answered")
        ballast.load(leave)
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 1, said
        assert "Traceback" not in said
        assert str(home.path) in said and ("No space left" in said or "disk is full" in said), said
        assert not (home.path / "studies" / "full" / "results.json").exists()

        refused = home.run("run", str(study))
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
        assert str(home.path) in refused.stderr and "free" in refused.stderr

        ballast.unload()
        journaled, before = home.journaled(), endpoint.stats()
        done = home.run("run", str(study), "--json")
        assert done.returncode == 0, done.stderr
        after = endpoint.stats()
    assert after["asked"] - before["asked"] <= 40 - journaled + 4
    assert after["repeated"] <= 2 * 4  # those whose answers the disk refused, and those under way meanwhile
    assert {synthesis["yields"]["kept"] for synthesis in home.results("full")["syntheses"]} == {40}
    assert "RUNNING" not in home.mlflow_states()


def test_a_full_store_costs_no_call(small_disk: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", {"SYNTHGAP_STORE": str(small_disk / "store")})
    home.path.mkdir()
    ballast = Ballast(small_disk)
    with provider(latency=0.5) as endpoint:
        study = home.study(endpoint, "full", rows_per_label=20)
        process = home.start("run", str(study))
        until(lambda: endpoint.stats()["answered"] >= 8 or process.poll() is not None, "some calls are answered")
        ballast.load(0)
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 1, said
        assert "Traceback" not in said and "the store" in said and "No space left" in said, said
        written = [item for item in home.results("full")["syntheses"] if item["status"] == "ok"]
        assert written == [] and home.journaled() >= 40  # a few are asked ahead

        ballast.unload()
        before = endpoint.stats()["asked"]
        done = home.run("run", str(study), "--json")
        assert done.returncode == 0, done.stderr
        assert endpoint.stats()["asked"] == before
    assert {synthesis["yields"]["kept"] for synthesis in home.results("full")["syntheses"]} == {40}
