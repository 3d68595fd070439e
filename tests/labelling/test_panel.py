"""A panel of annotators: every one labels the same rows, once."""

import json
from collections import Counter

import pytest

from tasks.config import GeneratorConfig, SubjectivityConfig
from tasks.data.sample import test_sample as sample_of
from tasks.errors import RunError, UserError
from tasks.labelling.panel import annotate, panel, rated_rows, stored_votes
from tasks.labelling.question import ITEM_WORDS, labelling, roles
from tasks.llm.ledger import Ledger
from tasks.records import Example
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.trial import item_key
from tests import read_only
from tests.generation.conftest import FakeLLM
from tests.labelling.conftest import BrokenError, breaks_after, make_data, truth

PERSONAS = ("You are quick.", "You are slow.", "You are fair.")
KEYS = ["04b5a67558c7d7757c0933996e2c2842", "d3c90c58a009bfb625cbcd36257e02d2", "8413c14e11e352a14b8c45439800500c"]
"""Of this panel's interviews, as journals on people's disks are called."""


def config(items: int = 10, **fields) -> SubjectivityConfig:
    return SubjectivityConfig(**{"annotators": ("fake/llm",), "personas": PERSONAS, "items": items, **fields})


def test_every_annotator_labels_the_same_rows(data, settings, llm) -> None:
    votes = annotate(data, config(), None, settings, complete=llm)
    assert len(votes) == len(set(votes)) == 30
    assert Counter(vote.rater for vote in votes) == {f"fake/llm · {persona}": 10 for persona in PERSONAS}
    known = {item_key(row.text): row.label for row in rated_rows(data, config(), None)}
    assert all(known[vote.item] == vote.label for vote in votes)


def test_a_larger_choice_of_rows_contains_a_smaller_and_costs_only_the_new_ones(data, settings, llm) -> None:
    few, many = (set(rated_rows(data, config(items), None)) for items in (6, 10))
    assert few < many and {row.label for row in few} == {"glad", "sad"}
    annotate(data, config(6), None, settings, complete=llm)
    annotate(data, config(10), None, settings, complete=llm)
    assert len(llm.asked) == 30


def test_rows_are_a_part_of_the_studys_test_rows(data) -> None:
    assert set(rated_rows(data, config(8), 12)) < set(sample_of(data, 12))
    assert rated_rows(data, config(20), 12) == sample_of(data, 12)


def test_votes_are_found_again(data, settings, llm) -> None:
    assert stored_votes(data, config(), None, settings) is None
    votes = annotate(data, config(), None, settings, complete=llm)
    assert annotate(data, config(), None, settings, complete=breaks_after(0, llm)) == votes
    assert stored_votes(data, config(), None, settings) == votes


@pytest.mark.parametrize("name", ["votes.jsonl", "manifest.json"])
@pytest.mark.parametrize("size", [0, 150])
def test_damaged_votes_are_counted_again_without_a_question(name, size, data, settings, llm) -> None:
    votes = annotate(data, config(), None, settings, complete=llm)
    [path] = (settings.home / "store" / "votes").rglob(name)
    path.write_bytes(path.read_bytes()[:size])
    assert stored_votes(data, config(), None, settings) is None
    assert annotate(data, config(), None, settings, complete=breaks_after(0, llm)) == votes
    assert stored_votes(data, config(), None, settings) == votes


def test_answers_belong_to_the_server_that_gave_them(data, settings, llm) -> None:
    def asked_at(**server) -> tuple[str, ...]:
        annotators = (GeneratorConfig(model="fake/llm", **server),)
        return tuple(asked.key for asked in panel(data, config(annotators=annotators), None))

    here, there = asked_at(api_base="http://here/v1"), asked_at(api_base="http://there/v1")
    assert len({*asked_at(), *here, *there}) == 9
    assert asked_at(api_base="http://here/v1", endpoint="lab") == asked_at(api_base="http://moved/v1", endpoint="lab")


def test_keys_of_interviews_without_an_address_stay(data) -> None:
    keys = [asked.key for asked in panel(data, config(), None)]
    assert keys == KEYS


def test_a_store_that_cannot_be_written_is_noticed_before_the_first_question(data, tmp_path, llm) -> None:
    settings = Settings(home=tmp_path / "home", store=read_only.URL)
    with pytest.raises(RunError, match="cannot write to the store"):
        annotate(data, config(), None, settings, complete=llm)
    assert not llm.asked


@pytest.mark.parametrize("calls", [0, 4, 15, 29])
def test_a_killed_panel_goes_on_where_it_was(calls, data, settings, llm) -> None:
    with pytest.raises(BrokenError):
        annotate(data, config(), None, settings, complete=breaks_after(calls, llm))
    assert len(annotate(data, config(), None, settings, complete=llm)) == len(llm.asked) == 30


def test_no_answer_is_no_vote_and_counted_by_rater(data, settings) -> None:
    def answer(request) -> str:
        return "hm" if "quick" in request.messages[0]["content"] else truth(request)

    votes = annotate(data, config(), None, settings, complete=FakeLLM(answer=answer))
    assert len(votes) == 20
    [key] = Store(settings.store_url).keys("votes")
    shares = Store(settings.store_url).get("votes", key)["unanswered"]
    assert sorted(shares.values()) == [0, 0, 1]


def test_the_budget_ends_it_and_nothing_unfinished_is_stored(data, settings, llm) -> None:
    priced = config(annotators=({"model": "fake/llm", "price": {"input": 100, "output": 100}, "concurrency": 2},))
    votes = annotate(data, priced, None, settings, Ledger(settings.home / "b.json", 0.04), llm)
    assert 0 < len(votes) == len(llm.asked) < 30
    assert stored_votes(data, priced, None, settings) is None
    assert len(annotate(data, priced, None, settings, Ledger(settings.home / "c.json", None), llm)) == 30
    assert len(llm.asked) == 30


def test_a_failure_is_told_and_raised(data, settings) -> None:
    told = []
    with pytest.raises(RunError, match=r"but .other. answered"):
        annotate(data, config(), None, settings, complete=FakeLLM(model="other"), report=told.append)
    assert told[-1].failed and told[-1].stage == "annotate"


def test_progress_counts_up_to_the_end(data, settings, llm) -> None:
    told = []
    annotate(data, config(), None, settings, complete=llm, report=told.append)
    assert [state.done for state in told] == list(range(1, 31)) and told[-1].finished


def test_no_annotators_no_votes(data, settings, llm) -> None:
    assert annotate(data, config(annotators=()), None, settings, complete=llm) == () and not llm.asked


def test_raters_see_labels_in_orders_of_their_own() -> None:
    data = make_data("letter", *"abcdefgh")
    interviews = panel(data, config(personas=tuple(f"You are number {i}." for i in range(6))), None)
    assert len({interview.options for interview in interviews}) == 6
    assert all(set(interview.options) == set("abcdefgh") for interview in interviews)
    assert interviews == panel(data, config(personas=tuple(f"You are number {i}." for i in range(6))), None)


def test_one_rater_twice_is_refused() -> None:
    with pytest.raises(UserError, match="model 'a/x' is listed twice"):
        roles((GeneratorConfig(model="a/x"), GeneratorConfig(model="a/x", temperature=1)), PERSONAS)
    with pytest.raises(UserError, match="persona 'same' is listed twice"):
        roles((GeneratorConfig(model="a/x"),), ("same", "same"))


def test_long_texts_are_cut(data) -> None:
    words = Example(" ".join(f"w{i}" for i in range(500)), "glad")
    signs = Example("字" * 9000, "glad")
    first, second = labelling(data.task, GeneratorConfig(model="fake/llm"), (words, signs), "x").questions
    assert first.endswith(f"w{ITEM_WORDS - 1} ...") and len(second) < 9 * ITEM_WORDS


def test_votes_are_lines_of_ratings(data, settings, llm) -> None:
    votes = annotate(data, config(), None, settings, complete=llm)
    store = Store(settings.store_url)
    [key] = store.keys("votes")
    assert len(store.file("votes", key, "votes.jsonl").decode().splitlines()) == len(votes)
    assert json.loads(store.file("votes", key, "votes.jsonl").decode().splitlines()[0]).keys() == {
        "item",
        "rater",
        "label",
    }
