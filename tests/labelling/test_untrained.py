"""Classifying without training: scores, resume, budget, bad endings."""

import asyncio
import math
from dataclasses import replace

import pytest

from tasks.config import GeneratorConfig, StudyConfig
from tasks.data.sample import test_sample as sample_of
from tasks.errors import RunError, UserError
from tasks.labelling.untrained import (
    UNANSWERED,
    check_untrained,
    classify,
    stored_untrained,
    untrained_jobs,
)
from tasks.llm.calls import Answer, Request, UnwantedError
from tasks.llm.ledger import Ledger
from tasks.llm.metered import MeteredCalls
from tasks.llm.spending import Spending
from tasks.llm.throttle import Throttle
from tasks.store import Store
from tasks.training.trial import item_key, read_predictions
from tests.endpoint import chat
from tests.generation.conftest import FakeLLM
from tests.labelling.conftest import ROWS, BrokenError, breaks_after, truth


def predictions(settings, key):
    return read_predictions(Store(settings.store_url), key)


def test_an_llm_that_knows_is_always_right(job, data, settings, llm) -> None:
    trial = classify(job(), data, settings, complete=llm)
    assert (trial.status, trial.arm.label) == ("ok", "mood · llm_zero_shot · fake/llm · llm")
    assert trial.macro_f1 == trial.accuracy == 1
    assert trial.n_test == len(llm.asked) == 2 * ROWS and trial.n_train == 0
    assert trial.cost_usd == pytest.approx(0.001 * 2 * ROWS)
    assert 0 < trial.latency_s < 5
    assert {p.item for p in predictions(settings, trial.key)} == {item_key(row.text) for row in data.test}


def test_a_stored_one_asks_nothing(job, data, settings, llm) -> None:
    assert stored_untrained(job(), data, settings) is None
    first = classify(job(), data, settings, complete=llm)
    again = classify(job(), data, settings, complete=breaks_after(0, llm))
    assert again.cached and not first.cached
    assert (again.key, again.macro_f1, again.latency_s) == (first.key, first.macro_f1, first.latency_s)
    assert stored_untrained(job(), data, settings) == again


def test_an_answer_without_a_label_is_wrong_and_counted(job, data, settings, caplog) -> None:
    llm = FakeLLM(answer=lambda request: "no idea" if "glad 1" in request.messages[-1]["content"] else truth(request))
    trial = classify(job(), data, settings, complete=llm)
    lost = [p for p in predictions(settings, trial.key) if p.predicted == UNANSWERED]
    assert len(lost) == 3  # glad 1, 10 and 11
    assert trial.accuracy == pytest.approx(1 - 3 / 24)
    assert trial.per_label["glad"]["recall"] == pytest.approx(1 - 3 / 12) and trial.per_label["sad"]["precision"] == 1
    assert Store(settings.store_url).get("trials", trial.key)["unanswered"] == pytest.approx(3 / 24)
    assert "12.5% of the answers name none of the options; they count as no answer" in caplog.text


def test_examples_are_the_pools_and_the_same_for_all(job, data, settings, llm) -> None:
    trial = classify(job("llm_few_shot"), data, settings, complete=llm)
    openings = {str(request.messages[:-1]) for request in llm.asked}
    assert len(openings) == 1 and trial.n_train == 6 and trial.label_counts == {"glad": 3, "sad": 3}
    shown = [message["content"] for message in llm.asked[0].messages if message["role"] == "user"][:-1]
    assert {text.removeprefix("Text: ") for text in shown} < {row.text for row in data.pool}
    assert not any(row.text in opening for row in data.test for opening in openings)


def test_few_shot_without_a_pool_fails_with_its_reason(job, data, settings, llm) -> None:
    trial = classify(job("llm_few_shot"), replace(data, pool=data.pool[:4]), settings, complete=llm)
    assert trial.status == "failed" and "no row of label 'sad'" in trial.error and not llm.asked


def test_rows_are_a_part_of_the_studys(job, data, settings, llm) -> None:
    few = replace(job(n=6), test_rows=10)
    items = {p.item for p in predictions(settings, classify(few, data, settings, complete=llm).key)}
    assert len(items) == 6 and items < {item_key(row.text) for row in sample_of(data, 10)}
    asked = len(llm.asked)
    assert classify(job(n=12), data, settings, complete=llm).n_test == 12
    assert len(llm.asked) == asked + 6  # the journal had the others


@pytest.mark.parametrize("calls", [0, 1, 7, 23])
def test_what_was_answered_before_the_end_of_the_process_is_not_asked_again(calls, job, data, settings, llm) -> None:
    with pytest.raises(BrokenError):
        classify(job(concurrency=3), data, settings, complete=breaks_after(calls, llm))
    assert stored_untrained(job(), data, settings) is None
    trial = classify(job(concurrency=3), data, settings, complete=llm)
    questions = [request.messages[-1]["content"] for request in llm.asked]
    assert len(questions) == len(set(questions)) == 24 and trial.accuracy == 1


def test_no_more_calls_at_once_than_allowed(job, data, settings, llm) -> None:
    llm.delay = 0.02
    classify(job(concurrency=5), data, settings, complete=llm)
    assert llm.most_at_once == 5


def test_one_answer_by_another_model_fails_the_cell(job, data, settings, llm) -> None:
    trial = classify(job(), data, settings, complete=FakeLLM(answer=truth, model="cheaper"))
    assert trial.status == "failed" and "asked for 'fake/llm', but 'cheaper' answered" in trial.error
    assert classify(job(), data, settings, complete=llm).status == "ok"
    assert len(llm.asked) == 24  # what another model said is not used


def test_the_budget_ends_it_and_more_goes_on(job, data, settings, llm, caplog) -> None:
    priced = {"price": {"input": 100, "output": 100}, "concurrency": 2}
    trial = classify(job(**priced), data, settings, Ledger(settings.home / "a.json", 0.04), complete=llm)
    assert trial.status == "ok" and 0 < trial.n_test == len(llm.asked) < 24
    assert "the budget of $0.04 is reached after" in caplog.text
    assert Ledger(settings.home / "a.json", 0.04).spent_usd <= 0.04
    whole = classify(job(**priced), data, settings, Ledger(settings.home / "b.json", None), complete=llm)
    assert whole.n_test == len(llm.asked) == 24 and whole.key != trial.key


def test_a_budget_of_nothing_is_a_failed_cell(job, data, settings, llm) -> None:
    priced = {"price": {"input": 1, "output": 1}}
    trial = classify(job(**priced), data, settings, Ledger(settings.home / "a.json", 0.0), complete=llm)
    assert trial.status == "failed" and "budget" in trial.error and trial.macro_f1 is None and not llm.asked


def test_the_likeliest_answer_is_asked_for(job, data, settings, llm) -> None:
    classify(job(temperature=1.3, completions=4, texts_per_call=5), data, settings, complete=llm)
    assert {(r.completions, r.generator.temperature, r.generator.texts_per_call) for r in llm.asked} == {(1, 0.0, 1)}


def test_the_embedded_llm_can_only_name_a_label(data) -> None:
    from tasks.labelling.question import labelling
    from tasks.llm.calls import sampling

    asked = labelling(data.task, GeneratorConfig(model="embedded/smollm2-135m-instruct"), data.test, "x")
    params = sampling(asked.generator)
    assert params["grammar"] == 'root ::= "glad" | "sad"'
    assert params["temperature"] == 0 and params["logit_bias"] == {}


def test_majority_predicts_the_most_frequent_label(job, data, settings) -> None:
    trial = classify(job("majority"), data, settings)
    assert (trial.arm.label, trial.arm.trained) == ("mood · majority", False)
    assert trial.accuracy == 0.5 and trial.macro_f1 == pytest.approx(1 / 3)  # half of F1 2/3 and 0
    assert trial.n_train == len(data.train) and trial.cost_usd is None and trial.latency_s is None
    made = predictions(settings, trial.key)
    assert {p.predicted for p in made} == {"sad"}
    assert all(math.isclose(sum(p.probabilities), 1, abs_tol=1e-5) for p in made)
    assert classify(job("majority"), data, settings).cached


def study(**fields) -> StudyConfig:
    return StudyConfig(name="s", tasks=("mood",), modes=("real",), **fields)


def test_one_cell_for_each_llm_and_one_for_the_majority(data) -> None:
    names = ("majority", "llm_zero_shot", "llm_few_shot")
    jobs = untrained_jobs(study(untrained=names, generators=("a/x", "a/y"), seeds=(3, 4)), data.task)
    assert [(job.arm.mode, job.generator and job.generator.model) for job in jobs] == [
        ("majority", None),
        *(("llm_zero_shot", name) for name in ("a/x", "a/y")),
        *(("llm_few_shot", name) for name in ("a/x", "a/y")),
    ]
    assert {job.seed for job in jobs} == {3} and len({job.cell for job in jobs}) == 5


def test_a_wrong_name_is_named_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"'majorty'. Did you mean 'majority'\? Allowed: llm_few_shot, llm_zero_shot"):
        check_untrained(study(untrained=("majorty",)))
    with pytest.raises(UserError, match="asks the study's generators, and there are none"):
        check_untrained(study(untrained=("llm_zero_shot",), generators=()))
    check_untrained(study(untrained=("majority",), generators=()))


def test_over_http(job, data, settings, serve) -> None:
    endpoint = serve(chat("Answer: 'Glad'.", model="served-model"))
    trial = classify(job(model="openai/served-model", api_base=endpoint.url), data, settings)
    assert trial.status == "ok" and trial.accuracy == 0.5 and trial.cost_usd is None
    assert len(endpoint.bodies) == 24
    assert {(body["temperature"], body.get("n", 1)) for body in endpoint.bodies} == {(0.0, 1)}


def test_a_refused_key_is_a_failed_cell_over_http(job, data, settings, serve) -> None:
    endpoint = serve((401, {}, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}))
    trial = classify(job(model="openai/served-model", api_base=endpoint.url), data, settings)
    assert trial.status == "failed" and "refuses the API key" in trial.error


@pytest.mark.parametrize("finish", ["length", "stop"])
def test_an_llm_whose_answers_are_empty_is_not_asked_on_and_says_why(finish, job, data, settings) -> None:
    class Silent(FakeLLM):
        async def __call__(self, request):
            return replace(await super().__call__(request), answers=(Answer("", finish),))

    llm = Silent()
    trial = classify(job(concurrency=1), data, settings, complete=llm)
    assert trial.status == "failed" and "stopped after 10 answers in a row without a text" in trial.error
    assert len(llm.asked) == 10
    assert classify(job(concurrency=1), data, settings, complete=llm).error == trial.error
    assert len(llm.asked) == 10


class OneAtATime(FakeLLM):
    """All but one of the calls wait for their turn, as at a provider that allows no more."""

    gate = None

    async def __call__(self, request):
        self.gate = self.gate or Throttle(1)
        async with self.gate.permit(1, request.wanted):
            await asyncio.sleep(0.05)
            return replace(await super().__call__(request), answers=(Answer("", "stop"),))


def test_calls_that_wait_for_their_turn_are_not_sent_after_ten_answers_without_a_text(job, data, settings) -> None:
    llm = OneAtATime()
    trial = classify(job(concurrency=8), data, settings, complete=llm)
    assert trial.status == "failed" and "stopped after 10 answers" in trial.error
    assert len(llm.asked) <= 12  # one may be sent while another's answer is written to the disk


def test_calls_that_wait_for_their_turn_are_not_sent_once_the_disk_is_full() -> None:
    class FullDisk:
        async def append(self, entry: object) -> None:
            raise RunError("the disk is full")

    llm = OneAtATime()

    async def ask_all() -> list[object]:
        metered = MeteredCalls(FullDisk(), llm, Spending(None, None))
        generator = GeneratorConfig(model="fake/llm")
        requests = [Request(({"role": "user", "content": "hi"},), generator, 9, seed) for seed in range(8)]
        return await asyncio.gather(*(metered.call(str(r.seed), r) for r in requests), return_exceptions=True)

    ends = asyncio.run(ask_all())
    assert [type(end) for end in ends] == [RunError, *[UnwantedError] * 7]
    assert len(llm.asked) == 1
