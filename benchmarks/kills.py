"""Kills a synthesis many times at random moments, then completes it and compares its rows with an uninterrupted one.

If the client is killed after the endpoint has answered a call and before the answer is on disk, the next run must
repeat the call. Such calls are counted as in flight at the kill, separately from repeated calls that were on disk.
"""

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tasks.llm.journal import read_journal
from tests.provider import provider

AT_ONCE = 8


@dataclass(frozen=True)
class Outcome:
    """The result of a number of kills."""

    kills: int
    calls: int
    """Distinct calls of the synthesis."""
    lost: int
    """Calls that were on disk at a kill and are not there any more."""
    repeated: int
    """Calls that were on disk at a kill and were answered again."""
    under_way: int
    """Calls answered again that were not on disk at the kill."""
    same: bool
    """Whether the rows are those of an uninterrupted run."""

    @property
    def most_under_way(self) -> int:
        """Most calls that can have been in flight at the kills."""
        return self.kills * AT_ONCE


def _client(url: str, home: Path, calls: int, at_once: int) -> list[str]:
    options = f"--url {url} --home {home} --calls {calls} --at-once {at_once} --draws 0"
    return [sys.executable, "-m", "benchmarks.client", "product", *options.split()]


def _only(paths: list[Path]) -> Path | None:
    return paths[0] if paths else None


def _calls(journal: Path) -> set[str]:
    return {f"{entry.prompt} {entry.seed}" for entry in read_journal(journal).values()}


def _kill(command: list[str], home: Path, after: float) -> bool:
    """Start a run and kill it ``after`` seconds after its first answer; false if it ended before."""

    def size() -> int:
        journal = _only(list(home.glob("journals/*.jsonl")))
        return journal.stat().st_size if journal else 0

    before = size()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while size() <= before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(after)
        ended = process.poll() is not None
        process.kill()
    return not ended


def _rows(home: Path) -> bytes:
    return next(home.glob("store/syntheses/*/rows.jsonl")).read_bytes()


def kill_often(folder: Path, kills: int, calls: int, seed: int = 0) -> Outcome:
    """Kill a synthesis of ``calls`` calls ``kills`` times, each time 0.5 to 3 s after the run's first answer."""
    rng = random.Random(seed)
    home, quiet = folder / "killed", folder / "quiet"
    known: dict[str, int] = {}  # calls on disk at a kill -> how often each was answered before it
    done = 0
    with provider(latency=0.1) as endpoint:
        command = _client(endpoint.url, home, calls, AT_ONCE)
        while done < kills and _kill(command, home, rng.uniform(0.5, 3)):
            done += 1
            so_far = endpoint.stats()["answers"]
            known = {call: so_far[call] for call in _calls(next(home.glob("journals/*.jsonl")))} | known
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        answers = endpoint.stats()["answers"]
        subprocess.run(_client(endpoint.url, quiet, calls, 64), check=True, stdout=subprocess.DEVNULL)
    repeated = sum(answers[call] - before for call, before in known.items())
    return Outcome(
        kills=done,
        calls=len(answers),
        lost=len(known.keys() - _calls(next(home.glob("journals/*.jsonl")))),
        repeated=repeated,
        under_way=sum(answers.values()) - len(answers) - repeated,
        same=_rows(home) == _rows(quiet),
    )
