"""Is generation as fast as the provider allows, and does it survive limits and kills? One row for each figure.

    python -m benchmarks.generation --distilabel ENV/bin/python --embedded

Endpoints run on loopback in separate processes, which also use the machine's CPU cores, so compare figures only within
a run. Exits with 1 if a limit is missed. ``--only`` selects parts: speed, rate, kills, embedded.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kills import kill_often
from tests.provider import ROOT, provider

LATENCY = 0.5
SLOWEST, MOST_CPU = 1.3, 8.0
"""Highest multiple of the ideal time, and most milliseconds of CPU for a call, both warm."""
RATE, RATE_CALLS, RATE_SHARE, RATE_REFUSED = 20, 600, 0.9, 0.05
KILLS, KILL_CALLS = 20, 4000
ENGINE_SHARE, SHARING = 0.95, 2.0
"""Least share of the embedded LLM's own throughput, and least gain of four texts from a prompt over one."""


@dataclass(frozen=True)
class Figure:
    """One row of output. ``bar`` is the limit; ``ok`` is null without a limit."""

    name: str
    value: str
    bar: str = ""
    ok: bool | None = None

    def __str__(self) -> str:
        verdict = {True: "ok", False: "missed", None: ""}[self.ok]
        return f"{self.name:<50} {self.value:<44} {self.bar:<16} {verdict}".rstrip()


class ContenderError(Exception):
    """A contender failed."""


def client(contender: str, **options: Any) -> list[dict[str, Any]]:
    """The records of a separate client process. Raises ``ContenderError`` if it failed."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != "draws"]
    draws = [str(draw) for draw in options.get("draws", (0, 1))]
    command = [sys.executable, "-m", "benchmarks.client", contender, *given, "--draws", *draws]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise ContenderError(done.stderr.strip().splitlines()[-1][:160])
    records: list[dict[str, Any]] = json.loads(done.stdout)
    return records


def speed(distilabel: str | None) -> Iterator[Figure]:
    """The product and others, with an endpoint that has only latency."""
    for calls, at_once in ((400, 50), (2000, 500)):
        for contender in ("product", "litellm"):
            with provider(latency=LATENCY) as endpoint:
                try:
                    records = client(contender, url=endpoint.url, calls=calls, at_once=at_once)
                except ContenderError as error:  # litellm alone does not repeat calls, so it may fail on a slow machine
                    ours = contender == "product"
                    name = f"{contender}, {calls} calls, {at_once} at once"
                    yield Figure(name, f"failed: {error}", "no failure" if ours else "", False if ours else None)
                    continue
            for heat, record in zip(("cold", "warm"), records, strict=True):
                yield from _timed(f"{contender}, {calls} calls, {at_once} at once, {heat}", record, at_once)
        if distilabel:
            yield _distilabel(distilabel, calls, at_once)


def _timed(name: str, record: dict[str, Any], at_once: int) -> Iterator[Figure]:
    ideal = record["calls"] * LATENCY / at_once
    ratio, cpu = record["seconds"] / ideal, 1000 * record["cpu"] / record["calls"]
    ours = name.startswith("product") and name.endswith("warm")
    took = f"{record['seconds']:.2f} s = {ratio:.2f} x ideal ({record['calls']} calls)"
    if ours and at_once == 50:  # one process cannot send more in that time
        yield Figure(name, took, f"<= {SLOWEST} x", ratio <= SLOWEST)
    else:
        yield Figure(name, took)
    used = f"{cpu:.1f} ms own CPU a call"
    yield Figure(name, used, f"<= {MOST_CPU:g} ms", cpu <= MOST_CPU) if ours else Figure(name, used)


def _distilabel(python: str, calls: int, at_once: int) -> Figure:
    with provider(latency=LATENCY) as endpoint, tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder) / "prompts.jsonl"
        made = [sys.executable, "-m", "benchmarks.client", "prompts", f"--url={endpoint.url}", f"--calls={calls}"]
        prompts.write_bytes(subprocess.run(made, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
        command = [python, "benchmarks/distilabel/run.py", "--url", endpoint.url, "--prompts", str(prompts)]
        done = subprocess.run(
            [*command, "--at-once", str(at_once)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        took = json.loads(done.stdout.splitlines()[-1])
        calling = endpoint.stats()["seconds"]
    value = f"{took['seconds']:.2f} s, of which calls {calling:.2f} s"
    return Figure(f"distilabel, {calls} calls, {at_once} at once", value)


def rate() -> Iterator[Figure]:
    """An endpoint that allows ``RATE`` calls a second and does not report this limit."""
    with provider(latency=LATENCY, rate=RATE) as endpoint:
        client("product", url=endpoint.url, calls=RATE_CALLS, at_once=64, draws=[0])
        stats = endpoint.stats()
    later = [when for when in stats["accepted_at"] if when >= 10]
    reached = len(later) / (RATE * (max(later) - 10))
    refused = stats["refused"] / stats["asked"]
    name = f"{RATE} a second unannounced, {RATE_CALLS} calls"
    yield Figure(name, f"{reached:.1%} of the rate after 10 s", f">= {RATE_SHARE:.0%}", reached >= RATE_SHARE)
    yield Figure(name, f"{refused:.1%} of calls refused", f"< {RATE_REFUSED:.0%}", refused < RATE_REFUSED)


def kills() -> Iterator[Figure]:
    """A client that is killed many times."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_often(Path(folder), KILLS, KILL_CALLS)
    name = f"{outcome.kills} kills in {outcome.calls} calls"
    yield Figure(name, f"{outcome.kills} kills", f">= {KILLS}", outcome.kills >= KILLS)
    yield Figure(name, f"{outcome.lost} calls lost", "0", outcome.lost == 0)
    yield Figure(name, f"{outcome.repeated} calls repeated that were on disk", "0", outcome.repeated == 0)
    most = outcome.most_under_way
    value = f"{outcome.under_way} asked again, under way at a kill"
    yield Figure(name, value, f"<= {most}", outcome.under_way <= most)
    yield Figure(name, f"rows {'as' if outcome.same else 'unlike those'} of a quiet run", "as", outcome.same)


def embedded() -> Iterator[Figure]:
    """The embedded LLM, with and without the product."""
    four = client("product", calls=24, completions=4, draws=[0])[0]
    direct = client("llama", calls=four["calls"], completions=4, draws=[0])[0]
    one = client("product", calls=48, completions=1, draws=[0])[0]
    engine_rate, direct_rate = (record["texts"] / record["seconds"] for record in (four, direct))
    share = engine_rate / direct_rate
    value = f"{engine_rate:.2f} of {direct_rate:.2f} texts/s: {share:.1%}"
    yield Figure("embedded: engine against llama.cpp alone", value, f">= {ENGINE_SHARE:.0%}", share >= ENGINE_SHARE)
    rates = [record["kept"] / record["seconds"] for record in (four, one)]
    gain = rates[0] / rates[1]
    value = f"{rates[0]:.2f} against {rates[1]:.2f} rows/s: {gain:.2f} x"
    yield Figure("embedded: few-shot, 4 texts a prompt against 1", value, f">= {SHARING:g} x", gain >= SHARING)


def main() -> int:
    """Run and print; the exit code is 1 if a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distilabel", help="Python of an environment with benchmarks/distilabel/requirements.txt")
    parser.add_argument("--embedded", action="store_true", help="the embedded LLM, too; takes minutes")
    parser.add_argument("--only", nargs="+", choices=["speed", "rate", "kills", "embedded"])
    options = parser.parse_args()

    parts = {"speed": lambda: speed(options.distilabel), "rate": rate, "kills": kills, "embedded": embedded}
    usual = [name for name in parts if name != "embedded" or options.embedded]
    missed = False
    for name in options.only or usual:
        for figure in parts[name]():
            print(figure, flush=True)
            missed = missed or figure.ok is False
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
