"""What questions would cost, before they are put."""

import pytest

from tasks.config import SubjectivityConfig
from tasks.labelling.estimate import estimate_judges, estimate_panel, estimate_untrained, spent
from tasks.labelling.judges import judge
from tasks.labelling.panel import annotate
from tasks.labelling.untrained import classify, interview
from tasks.llm.tokens import count_tokens
from tests.generation.conftest import FakeLLM
from tests.labelling.conftest import BrokenError, breaks_after

PRICED = {"model": "fake/llm", "price": {"input": 1.0, "output": 2.0}}


def test_calls_tokens_and_dollars_of_an_llm_that_classifies(job, data, settings, llm) -> None:
    found = estimate_untrained(job(**PRICED), data, settings)
    assert found.calls == 24 and found.seconds is None
    assert found.cost_usd == pytest.approx((found.tokens_in + 2 * found.tokens_out) / 1e6)
    classify(job(**PRICED), data, settings, complete=llm)
    real = sum(count_tokens(m["content"]) + 5 for request in llm.asked for m in request.messages)
    assert found.tokens_in == pytest.approx(real, rel=0.05)


def test_the_journal_and_the_store_are_paid_for(job, data, settings, llm) -> None:
    with pytest.raises(BrokenError):
        classify(job(concurrency=1), data, settings, complete=breaks_after(10, llm))
    left = estimate_untrained(job(), data, settings)
    assert left.calls == 14 and left.seconds > 0
    classify(job(), data, settings, complete=llm)
    assert estimate_untrained(job(), data, settings).calls == 0


def test_an_unknown_price_is_unknown_and_a_majority_is_free(job, data, settings) -> None:
    assert estimate_untrained(job(), data, settings).cost_usd is None
    free = estimate_untrained(job("majority"), data, settings)
    assert (free.calls, free.cost_usd, free.seconds) == (0, 0.0, 0.0)


def test_the_embedded_llm_costs_time_alone(job, data, settings) -> None:
    found = estimate_untrained(job(model="embedded/smollm2-135m-instruct"), data, settings)
    assert found.cost_usd == 0 and 0 < found.seconds < 24 * found.tokens_in / 500


def test_panel_and_judges(tasks, settings) -> None:
    fields = {"personas": ("You are one.", "You are two."), "items": 6, "comparisons": 12}
    asked = SubjectivityConfig(annotators=(PRICED,), judges=(PRICED,), **fields)
    assert estimate_panel(tasks[0], asked, None, settings).calls == 12
    assert estimate_judges(tasks, asked, settings).calls == 12
    llm = FakeLLM(answer=lambda request: "A")
    annotate(tasks[0], asked, None, settings, complete=llm)
    judge(tasks, asked, settings, complete=llm)
    assert estimate_panel(tasks[0], asked, None, settings).calls == 0
    assert estimate_judges(tasks, asked, settings).calls == 0


def test_what_was_spent_leaves_out_questions_of_other_studies_in_the_same_journal(job, data, settings, llm) -> None:
    few, all_ = (interview(job(n=n, **PRICED), data) for n in (6, None))
    assert few.journal(settings) == all_.journal(settings)
    classify(job(**PRICED), data, settings, complete=llm)  # another study asks about all test rows
    assert (spent([few], settings).calls, spent([all_], settings).calls) == (6, 24)
    assert spent([few, all_], settings) == spent([all_], settings)  # a call that serves two arms is paid for once
    assert spent([few], settings).tokens_in * 4 == spent([all_], settings).tokens_in
