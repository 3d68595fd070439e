"""Fakes of the synthesis tests: a small task, settings in a temporary folder, and an LLM that answers from a script."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tasks.config import FileSource, GeneratorConfig, TaskConfig
from tasks.generation.filters import ORDER
from tasks.llm.calls import Answer, Completion, Request
from tasks.records import Example, SynthesisJob, TaskData
from tasks.settings import Settings
from tests.endpoint import Endpoint, chat

WORDS = [
    "apple",
    "river",
    "stone",
    "cloud",
    "train",
    "window",
    "paper",
    "garden",
    "silver",
    "market",
    "winter",
    "bridge",
]
TASK = TaskConfig(
    name="mood",
    title="Is a note glad or sad?",
    text="a note",
    context="Imagine that you write notes to friends.",
    labels={"glad": "a note of somebody happy", "sad": "a note of somebody unhappy"},
    max_words=20,
    sources=(FileSource(train="train.csv"),),
)


@pytest.fixture
def task() -> TaskConfig:
    return TASK


@pytest.fixture
def data(task: TaskConfig) -> TaskData:
    pool = tuple(Example(f"pool {label} {word} note", label) for label in task.labels for word in WORDS[:6])
    test = tuple(Example(f"Test {label} about {word}!", label) for label in task.labels for word in WORDS[:6])
    return TaskData(task, train=pool, pool=pool, test=test, source="fixture")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def make_job(task: TaskConfig) -> Callable[..., SynthesisJob]:
    def make(
        mode: str = "few_shot",
        rows: int = 5,
        extra: float = 2.0,
        draw: int = 0,
        filters: tuple[str, ...] = ORDER,
        **generator: object,
    ) -> SynthesisJob:
        fields = {"model": "fake/llm", **generator}
        return SynthesisJob(task, mode, GeneratorConfig.model_validate(fields), draw, rows, extra, filters)

    return make


def sentence(request: Request) -> str:
    """A text that depends on the request alone, as an LLM's at a fixed seed does."""
    rng = random.Random(f"{request.prompt_hash}{request.seed}")
    return " ".join(rng.choice(WORDS) for _ in range(8))


@dataclass
class FakeLLM:
    """Answers ``answer(request)`` after a random time; counts what it was asked."""

    answer: Callable[[Request], str] = sentence
    model: str = "fake/llm"
    cost: float | None = 0.001
    delay: float = 0.002
    asked: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0

    async def __call__(self, request: Request) -> Completion:
        self.asked.append(request)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await asyncio.sleep(self.delay * random.random())
            texts = [self.answer(replace(request, seed=request.seed + i)) for i in range(request.completions)]
            return Completion(tuple(Answer(text, "stop") for text in texts), self.model, 10, 8, self.cost)
        finally:
            self._now -= 1


@pytest.fixture
def llm() -> FakeLLM:
    return FakeLLM()


@pytest.fixture(scope="session")
def warm() -> None:
    """The first call of a process takes seconds of its own, which a short time-out would count."""
    from tasks.llm import gateway, loop

    endpoint = Endpoint(chat())
    generator = GeneratorConfig(model="openai/served-model", api_base=endpoint.url)
    gateway.prepare(generator)
    loop.run(gateway.complete(Request(({"role": "user", "content": "hello"},), generator, 9, 0)))
    endpoint.server.shutdown()
