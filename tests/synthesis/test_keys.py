"""What changes a key and what does not; what a plan says before anything is spent."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tasks.config import FileSource, GeneratorConfig
from tasks.records import Example
from tasks.synthesis.embedded import is_embedded
from tasks.synthesis.estimate import estimate
from tasks.synthesis.keys import calls_key, request, synthesis_key
from tasks.synthesis.prices import price, price_map
from tasks.synthesis.synthesize import synthesize


def test_more_rows_other_tests_and_limits_keep_the_calls(make_job, data):
    key = calls_key(make_job(), data)
    assert calls_key(make_job(rows=9), data) == key
    assert calls_key(make_job(extra=5.0), data) == key
    assert calls_key(make_job(concurrency=3, timeout=9, requests_per_minute=7), data) == key
    assert calls_key(make_job(), replace(data, test=(), source="elsewhere")) == key
    moved = data.task.model_copy(update={"sources": (FileSource(train="moved.csv"),)})
    assert calls_key(replace(make_job(), task=moved), data) == key


@pytest.mark.parametrize(
    "change",
    [
        {"draw": 1},
        {"mode": "zero_shot"},
        {"model": "fake/other"},
        {"temperature": 0.1},
        {"params": {"top_p": 0.5}},
        {"max_tokens": 9},
    ],
)
def test_what_shapes_an_answer_changes_the_calls(change, make_job, data):
    assert calls_key(make_job(**change), data) != calls_key(make_job(), data)


def test_prompts_and_pool_shape_the_calls(make_job, data):
    key = calls_key(make_job(), data)
    pool = (*data.pool[:-1], Example("another text", data.pool[-1].label))
    assert calls_key(make_job(), replace(data, pool=pool)) != key
    told = data.task.model_copy(update={"context": "Imagine something else."})
    assert calls_key(replace(make_job(), task=told), data) != key


def test_the_data_set_depends_on_rows_and_test_texts_too(make_job, data):
    key = synthesis_key(make_job(), data)
    assert synthesis_key(make_job(rows=9), data) != key
    assert synthesis_key(make_job(), replace(data, test=data.test[1:])) != key
    assert synthesis_key(make_job(), replace(data, source="elsewhere")) == key


def test_requests_are_a_function_of_draw_label_and_index(make_job, data):
    first = request(make_job(), data, "glad", 7)
    assert first == request(make_job(rows=99), data, "glad", 7)
    others = [
        request(make_job(), data, "glad", 8),
        request(make_job(), data, "sad", 7),
        request(make_job(draw=1), data, "glad", 7),
    ]
    assert len({first.seed, *(other.seed for other in others)}) == 4


def test_an_estimate_is_quick_and_learns_from_what_was_seen(make_job, data, settings, llm):
    start = time.monotonic()
    before = estimate(make_job(), data, settings)
    assert time.monotonic() - start < 1.0
    assert before.calls >= 10 and before.tokens_in > 0 and before.cost_usd is None and before.seconds is None
    synthesize(make_job(), data, settings, complete=llm)
    assert estimate(make_job(), data, settings).calls == 0
    after = estimate(make_job(rows=10), data, settings)
    assert after.calls == 10 and after.seconds is not None


def test_an_estimate_never_expects_more_calls_than_are_allowed(make_job, data, settings):
    assert estimate(make_job(extra=0.0), data, settings).calls == 10


def test_prices_are_known_unknown_or_nothing():
    def of(model: str, **fields: object):
        return price(GeneratorConfig(model=model, **fields))

    assert of("openai/gpt-4o-mini").of(1_000_000, 1_000_000) == pytest.approx(0.75)
    assert of("gpt-4o-mini") == of("openai/gpt-4o-mini")
    assert of("openai/never-heard-of") is None
    assert of("openai/never-heard-of", price={"input": 1, "output": 2}).of(1_000_000, 500_000) == pytest.approx(2)
    assert of("embedded/smollm2-135m-instruct").of(10, 10) == 0
    assert price_map().startswith("litellm ") and is_embedded("embedded/x")


def test_planning_imports_nothing_heavy():
    code = (
        "import sys, tasks.synthesis.synthesize, tasks.synthesis.estimate;"
        "print([m for m in ('litellm', 'torch', 'xllamacpp', 'transformers', 'openai') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
