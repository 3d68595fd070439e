"""The process that the generation benchmark measures: it generates texts and reports its times.

    python -m benchmarks.client product --url http://127.0.0.1:8000/v1 --calls 400 --at-once 50 --draws 0 1

Prints a JSON list with one record for each draw. Each contender has its own process, so that its first draw is always
cold.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tasks.config import EMBEDDED_GENERATOR, GeneratorConfig
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.generation import keys
from tasks.generation.filters import ORDER
from tasks.generation.synthesize import synthesize
from tasks.llm import calls, embedded
from tasks.llm.calls import Request
from tasks.llm.journal import read_journal
from tasks.llm.ledger import Ledger
from tasks.records import SynthesisJob, TaskData
from tasks.settings import Settings

TASK = "sms_spam"
SERVED = "openai/served-model"
PRICE = {"input": 0.15, "output": 0.6}


def job_of(data: TaskData, options: argparse.Namespace, draw: int) -> SynthesisJob:
    """A synthesis that takes ``options.calls`` calls if every text is kept."""
    fields: dict[str, Any] = {"model": EMBEDDED_GENERATOR}
    if options.url:
        fields = {"model": SERVED, "api_base": options.url, "price": PRICE, "concurrency": options.at_once}
    generator = GeneratorConfig.model_validate(fields | {"completions": options.completions})
    rows = options.calls * options.completions // len(data.task.labels)
    return SynthesisJob(data.task, "few_shot", generator, draw, rows, 2.0, ORDER)


def requests_of(job: SynthesisJob, data: TaskData, count: int) -> list[Request]:
    """The first ``count`` calls of a synthesis, in its order."""
    labels = tuple(job.task.labels)
    return [keys.request(job, data, labels[i % len(labels)], i // len(labels)) for i in range(count)]


def timed(work: Callable[[], int]) -> dict[str, Any]:
    """Calls, wall seconds and CPU seconds of this process for ``work``, which returns how many calls it made."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    return {"calls": made, "seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def by_product(data: TaskData, options: argparse.Namespace, home: Path) -> list[dict[str, Any]]:
    """The product: with journal, budget on disk and all default filters."""
    settings = Settings(home=home)

    def one(draw: int) -> dict[str, Any]:
        job = job_of(data, options, draw)
        result = None

        def work() -> int:
            nonlocal result
            result = synthesize(job, data, settings, ledger=Ledger(home / "budget.json", 100.0))
            return result.calls

        record = timed(work)
        entries = read_journal(home / "journals" / f"{keys.calls_key(job, data)}.jsonl").values()
        texts = sum(len(entry.answers) for entry in entries)
        return record | {"texts": texts, "kept": result.yields.kept, "key": result.key}  # type: ignore[attr-defined]

    return [one(draw) for draw in options.draws]


def by_litellm(data: TaskData, options: argparse.Namespace, home: Path) -> list[dict[str, Any]]:
    """Calls of litellm alone: no journal, no budget, no filters, no retries."""

    def work(requests: list[Request]) -> int:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # as in the product: no download
        import litellm

        async def ask(request: Request, slots: asyncio.Semaphore) -> None:
            async with slots:
                await litellm.acompletion(
                    model=SERVED,
                    api_base=options.url,
                    api_key="none",
                    messages=list(request.messages),
                    max_tokens=request.max_tokens,
                    seed=request.seed,
                    max_retries=0,
                )

        async def ask_all() -> None:
            slots = asyncio.Semaphore(options.at_once)
            await asyncio.gather(*(ask(request, slots) for request in requests))

        loop.run_until_complete(ask_all())
        return len(requests)

    loop = asyncio.new_event_loop()
    drawn = [requests_of(job_of(data, options, draw), data, options.calls) for draw in options.draws]
    return [timed(lambda requests=requests: work(requests)) for requests in drawn]  # type: ignore[misc]


def by_llama(data: TaskData, options: argparse.Namespace, home: Path) -> list[dict[str, Any]]:
    """The embedded LLM without the product: the same prompts, sent directly to xllamacpp's server."""
    job = job_of(data, options, options.draws[0])
    native = embedded.server(job.generator.model)._native
    params = calls.sampling(job.generator)

    def ask(request: Request) -> int:
        limits = {"max_tokens": request.max_tokens, "seed": request.seed, "n": request.completions}
        payload = {"messages": list(request.messages), "cache_prompt": True, **limits, **params}
        return len(native.handle_chat_completions(payload)["choices"])

    def work() -> int:
        with ThreadPoolExecutor(calls.in_flight(job.generator)) as threads:
            texts.extend(threads.map(ask, requests_of(job, data, options.calls)))
        return options.calls

    texts: list[int] = []
    record = timed(work)
    return [record | {"texts": sum(texts)}]


CONTENDERS = {"product": by_product, "litellm": by_litellm, "llama": by_llama}


def main() -> None:
    """Make the calls and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contender", choices=[*CONTENDERS, "prompts"], help="prompts: print them instead, as JSONL")
    parser.add_argument("--url", help="endpoint to ask; without one the embedded LLM is asked")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--completions", type=int, default=1)
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--home", type=Path, help="where journal and budget lie; a temporary folder by default")
    options = parser.parse_args()

    data = load(find_task(TASK, Path.cwd()), Settings(), 0.1)
    if options.contender == "prompts":
        for request in requests_of(job_of(data, options, options.draws[0]), data, options.calls):
            print(json.dumps({"messages": request.messages}))
        return
    if not options.url:
        from tasks.llm import gateway  # imports litellm: like the loading of the model, not measured

        gateway.prepare(GeneratorConfig(model=EMBEDDED_GENERATOR))
        embedded.server(EMBEDDED_GENERATOR)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(CONTENDERS[options.contender](data, options, options.home or Path(folder))))


if __name__ == "__main__":
    main()
