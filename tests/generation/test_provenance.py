"""Every row leads back to its call, and the shares of a call's rows add up to it."""

import os

import pytest

from tasks.generation.provenance import trace
from tasks.generation.synthesize import synthesize
from tasks.store import Store
from tests.generation.conftest import FakeLLM


def test_rows_share_what_their_call_took(make_job, data, settings):
    llm = FakeLLM(cost=0.003)
    result = synthesize(make_job(rows=6, completions=3), data, settings, complete=llm)
    rows = trace(Store(settings.store_url), result.key)
    assert len(rows) == result.yields.requested
    assert sum(row["cost_usd"] for row in rows) == pytest.approx(result.cost_usd)
    assert sum(row["tokens_in"] for row in rows) == pytest.approx(result.tokens_in)
    prompts = {request.prompt_hash: request.seed for request in llm.asked}
    assert all(prompts[row["prompt_hash"]] == row["seed"] for row in rows)
    assert {row["model_answered"] for row in rows} == {"fake/llm"}


@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_damaged_calls_are_named(make_job, data, settings, content):
    key = synthesize(make_job(rows=2), data, settings, complete=FakeLLM()).key
    path = settings.home / "store" / "syntheses" / key / "calls.jsonl"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(FileNotFoundError, match=r"damaged: calls.jsonl is not as it was written"):
        trace(Store(settings.store_url), key)


def test_a_synthesis_that_is_found_counts_as_used(make_job, data, settings):
    key = synthesize(make_job(rows=2), data, settings, complete=FakeLLM()).key
    manifest = settings.home / "store" / "syntheses" / key / "manifest.json"
    os.utime(manifest, (0, 0))
    synthesize(make_job(rows=2), data, settings, complete=None)
    assert manifest.stat().st_mtime > 0


def test_an_unknown_price_stays_unknown(make_job, data, settings):
    result = synthesize(make_job(rows=2), data, settings, complete=FakeLLM(cost=None))
    assert {row["cost_usd"] for row in trace(Store(settings.store_url), result.key)} == {None}
