"""Two small tasks, settings in a temporary folder, and an LLM that knows the answer."""

import re
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from tasks.config import FileSource, GeneratorConfig, TaskConfig
from tasks.labelling.untrained import UntrainedJob, untrained_arm
from tasks.llm.calls import Request
from tasks.records import Example, TaskData
from tasks.settings import Settings
from tests.generation.conftest import FakeLLM

hypothesis.settings.register_profile("shared-machine", deadline=None, max_examples=60)
hypothesis.settings.load_profile("shared-machine")

ROWS = 12


def make_data(name: str, *labels: str) -> TaskData:
    task = TaskConfig(
        name=name,
        title=f"What is the {name} of a note?",
        text="a note",
        context="Imagine that you write notes.",
        labels={label: f"a note of {label} people" for label in labels},
        max_words=20,
        sources=(FileSource(train="train.csv"),),
    )

    def rows(kind: str, n: int) -> tuple[Example, ...]:
        return tuple(Example(f"{kind} {name} {label} {i}", label) for label in labels for i in range(n))

    pool = rows("pool", 4)
    return TaskData(
        task, (*pool, *rows("train", 6), Example("one more", labels[-1])), pool, rows("test", ROWS), "fixture"
    )


@pytest.fixture
def data() -> TaskData:
    return make_data("mood", "glad", "sad")


@pytest.fixture
def tasks() -> list[TaskData]:
    return [make_data("mood", "glad", "sad"), make_data("size", "long", "short"), make_data("place", "here", "there")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def job(data: TaskData) -> Callable[..., UntrainedJob]:
    def make(name: str = "llm_zero_shot", n: int | None = None, **generator: object) -> UntrainedJob:
        llm = None if name == "majority" else GeneratorConfig.model_validate({"model": "fake/llm", **generator})
        return UntrainedJob(untrained_arm(data.task, name, llm), data.task, 0, None, llm, n)

    return make


def truth(request: Request) -> str:
    """The label that stands in the fixture's texts."""
    return re.search(r"test \w+ (\w+)", request.messages[-1]["content"])[1]


@pytest.fixture
def llm() -> FakeLLM:
    return FakeLLM(answer=truth, delay=0.001)


class BrokenError(Exception):
    """The process dies in the middle of a call."""


def breaks_after(calls: int, llm: FakeLLM) -> Callable[[Request], object]:
    """The LLM, until a process would have been killed."""

    async def complete(request: Request) -> object:
        if len(llm.asked) >= calls:
            raise BrokenError
        return await llm(request)

    return complete
