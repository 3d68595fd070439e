"""Prices from litellm's table: the provider's own, never zero, bounded by the highest that a call can cost."""

import pytest

from tasks.config import GeneratorConfig
from tasks.llm import prices
from tasks.llm.prices import Price, price

CHATS = [name for name, entry in prices._table()[0].items() if entry.get("mode") in ("chat", "responses")]


def of(model: str, **fields: object) -> Price | None:
    return price(GeneratorConfig.model_validate({"model": model, **fields}))


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "gpt-4o-mini"])
def test_a_model_costs_the_same_with_and_without_its_provider(model):
    assert of(model).of(1_000_000, 1_000_000) == pytest.approx(0.15 + 0.6)


@pytest.mark.parametrize("model", ["ollama/gpt-4o", "openrouter/gpt-4o-mini", "hosted_vllm/claude-haiku-4-5"])
def test_a_name_says_nothing_about_another_provider(model):
    assert of(model) is None


def test_a_price_of_zero_is_none_unless_a_study_says_so():
    table = prices._table()[0]
    free = [name for name in CHATS if table[name].get("input_cost_per_token") == 0]
    assert len(free) > 50
    assert all(of(name) is None for name in free)
    assert of(free[0], price={"input": 0, "output": 0}) == Price(0, 0)
    assert of("embedded/smollm2-135m-instruct").free


def test_no_price_in_the_table_is_above_the_bound():
    """Of what a text call can be billed by: tiers of long prompts, thoughts, caches and audio."""
    table = prices._table()[0]
    for name in CHATS:
        if (found := of(name)) is None:
            continue
        entry = table[name]
        dearest = [
            max(
                value
                for key, value in entry.items()
                if isinstance(value, float) and key.startswith(begin) and "_token" in key
                and not prices.SERVICES.search(key) and "image" not in key and "video" not in key
            )
            for begin in ("input_cost_per", "output_cost_per")
            if any(key.startswith(begin) for key in entry)
        ]  # fmt: skip
        assert not dearest or found.most(1, 1) >= sum(dearest) - 1e-12, name
        assert found.most(1000, 1000) >= found.of(1000, 1000) > 0


def test_thoughts_long_prompts_and_searches_raise_the_bound():
    assert of("dashscope/qwen-plus-2025-04-28").most(0, 1) == pytest.approx(4e-6)
    long = of("gemini/gemini-2.5-pro")
    assert (long.of(1, 0), long.most(1, 0)) == (pytest.approx(1.25e-6), pytest.approx(2.5e-6))
    assert of("perplexity/sonar").most(0, 0) == pytest.approx(0.012)
    assert of("openai/gpt-4o").most(0, 0) == 0


def test_another_service_counts_where_it_is_asked_for():
    usual, dear = of("openai/gpt-5.5"), of("openai/gpt-5.5", params={"service_tier": "priority"})
    assert dear.most(1, 1) > usual.most(1, 1)
