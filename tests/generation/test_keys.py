"""What changes a key and what does not; what a plan says before anything is spent."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tasks.config import FileSource, GeneratorConfig
from tasks.generation.estimate import estimate, experience
from tasks.generation.keys import calls_key, request, synthesis_key
from tasks.generation.synthesize import synthesize
from tasks.llm.embedded import is_embedded
from tasks.llm.prices import price, price_map
from tasks.llm.tokens import count_tokens
from tasks.records import Example
from tasks.store import Store


def test_more_rows_other_tests_and_limits_keep_the_calls(make_job, data):
    key = calls_key(make_job(), data)
    assert calls_key(make_job(rows=9), data) == key
    assert calls_key(make_job(extra=5.0), data) == key
    assert calls_key(make_job(concurrency=3, timeout=9, requests_per_minute=7), data) == key
    assert calls_key(make_job(api_key_env="MINE"), data) == key
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
    start = time.process_time()
    before = estimate(make_job(), data, settings, {})
    assert time.process_time() - start < 1.5
    assert before.calls >= 10 and before.tokens_in > 0 and before.cost_usd is None and before.seconds is None
    synthesize(make_job(), data, settings, complete=llm)
    after = estimate(make_job(rows=10), data, settings, experience(Store(settings.store_url)))
    assert after.calls == 10 and after.seconds is not None
    assert after.tokens_in == 10 * 10  # the fake says that a call reads 10 tokens and writes 8
    assert 10 * 8 <= after.tokens_out < 10 * 12  # calls whose texts were not needed any more are paid for, too


def test_tokens_of_prompts_are_counted_before_anything_was_asked(make_job, data, settings):
    prompt = request(make_job(), data, "glad", 0).messages
    found = estimate(make_job(extra=0.0), data, settings, {})
    characters = sum(len(message["content"]) for message in prompt)
    assert found.calls * characters / 8 < found.tokens_in < found.calls * characters / 2


def test_tokens_are_counted_as_openai_counts_them():
    assert count_tokens("") == 0
    assert count_tokens("Hello, world!") == 4
    assert count_tokens("tiktoken is great!") == 6  # an example of tiktoken's own documentation


def test_another_server_writes_a_journal_of_its_own_unless_it_is_said_to_be_the_same(make_job, data):
    def key(**fields):
        return calls_key(make_job(**fields), data)

    here, there = "http://127.0.0.1:8000/v1", "http://127.0.0.1:9000/v1"
    assert len({key(), key(api_base=here), key(api_base=there)}) == 3
    assert key(api_base=there, endpoint=here) == key(api_base=here)
    assert key(api_base=here, endpoint="lab") == key(api_base=there, endpoint="lab")


def test_an_estimate_never_expects_more_calls_than_are_allowed(make_job, data, settings):
    assert estimate(make_job(extra=0.0), data, settings, {}).calls == 10


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
        "import sys, tasks.generation.synthesize, tasks.generation.estimate;"
        "print([m for m in ('litellm', 'torch', 'xllamacpp', 'transformers', 'openai') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
