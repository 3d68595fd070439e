"""Imported rows in the filters of generated ones: small and made up, and real ones by Llama-2 for SMS spam."""

import csv
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.config import GeneratorConfig, ImportConfig
from tasks.data.catalog import find_task
from tasks.data.load import load
from tasks.errors import RunError, UserError
from tasks.generation.estimate import estimate
from tasks.generation.filters import ORDER
from tasks.generation.provenance import trace
from tasks.generation.synthesize import read_rows, stored_synthesis, synthesize
from tasks.llm.estimate import Estimate
from tasks.records import SynthesisJob, content_key
from tasks.settings import Settings
from tasks.store import Store
from tests.data.conftest import SHARED
from tests.generation.conftest import WORDS

THEIRS = SHARED / "synthetic" / "sms_spam"


@pytest.fixture
def make_import(tmp_path, task):
    """A job over a file with the rows given."""

    def make(rows, n=5, draw=0, filters=ORDER, **more):
        path = tmp_path / f"{content_key(rows)}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        item = ImportConfig.model_validate({"name": "llama", "task": "mood", "file": str(path), **more})
        return SynthesisJob(task, "imported", GeneratorConfig(model="llama"), draw, n, 0, filters, imported=item)

    return make


def sentences(label: str, n: int) -> list[tuple[str, str]]:
    rng = random.Random(label)
    return [(" ".join(rng.choice(WORDS) for _ in range(8)), label) for _ in range(n)]


GOOD = [*sentences("glad", 9), *sentences("sad", 9)]


def test_rows_are_kept_by_the_same_filters_with_the_same_ledger(make_import, data, settings):
    bad = [("", "glad"), ("pool glad apple note", "glad"), ("TEST glad, about apple", "glad"), GOOD[0]]
    result = synthesize(make_import([*bad, *GOOD], n=50), data, settings)
    kept, rejected = read_rows(Store(settings.store_url), result.key)
    assert result.label_counts == {"glad": 9, "sad": 9} and result.short
    assert result.yields.rejected == {"empty": 1, "pool_copy": 1, "test_leak": 1, "duplicate": 1}
    y = result.yields
    assert (y.requested, y.answered, y.parsed, y.valid, y.unique, y.kept) == (22, 21, 21, 21, 20, 18)
    assert {row.reason for row in rejected} == set(y.rejected) and all(row.evidence for row in rejected)
    assert (result.calls, result.tokens_in, result.tokens_out, result.seconds) == (0, 0, 0, 0.0)
    assert (result.mode, result.generator, result.cost_usd) == ("imported", "llama", None)
    assert {row.text for row in kept} == {text for text, _ in GOOD}


def test_a_text_is_taken_as_it_stands(make_import, data, settings):
    rows = [('"Glad: a quoted note, all of it"', "glad"), ("1. A numbered note about the garden", "sad")]
    result = synthesize(make_import(rows), data, settings)
    kept, _ = read_rows(Store(settings.store_url), result.key)
    assert [row.text for row in kept] == [text for text, _ in rows]


def test_of_more_rows_than_wanted_a_draw_chooses_and_a_larger_choice_contains_a_smaller(make_import, data, settings):
    def kept(n, draw, rows=GOOD):
        result = synthesize(make_import(rows, n=n, draw=draw), data, settings)
        assert result.label_counts == {"glad": n, "sad": n}
        return {row.text for row in read_rows(Store(settings.store_url), result.key)[0]}

    assert kept(3, 0) == kept(3, 0, GOOD[::-1])  # the file's order does not matter
    assert kept(3, 0) != {text for text, _ in [*GOOD[:3], *GOOD[9:12]]}
    assert kept(3, 0) != kept(3, 1)
    assert kept(3, 0) < kept(5, 0)


def test_a_second_import_is_the_stored_one_and_other_rows_are_another(make_import, data, settings):
    first = synthesize(make_import(GOOD), data, settings)
    assert stored_synthesis(make_import(GOOD), data, settings) == first
    different = [
        make_import([*GOOD[:-1], ("Another sad text about a window", "sad")]),
        make_import(GOOD, n=4),
        make_import(GOOD, draw=1),
        make_import(GOOD, filters=ORDER[:2]),
        make_import(GOOD, cost_usd=1),
    ]
    assert all(stored_synthesis(job, data, settings) is None for job in different)
    assert stored_synthesis(make_import(GOOD), replace(data, test=data.test[1:]), settings) is None


def test_a_text_costs_its_share_of_the_source(make_import, data, settings):
    result = synthesize(make_import(GOOD, n=3, cost_usd=0.9), data, settings)
    assert result.yields.requested == 6
    assert result.cost_usd == pytest.approx(0.9 * 6 / 18)
    traced = trace(Store(settings.store_url), result.key)
    assert sum(row["cost_usd"] for row in traced) == pytest.approx(result.cost_usd)
    assert {row["generator"] for row in traced} == {"llama"}


def test_a_plan_asks_for_nothing(make_import, data, settings):
    assert estimate(make_import(GOOD), data, settings, {}) == Estimate(0, 0, 0, 0.0, 0.0)


def test_a_label_of_which_nothing_is_left_says_why(make_import, data, settings):
    rows = [*sentences("glad", 9), ("pool sad apple note", "sad"), ("pool sad river note", "sad")]
    told = []
    with pytest.raises(RunError, match=r"'llama': the filters rejected all rows of label 'sad' .pool_copy 2"):
        synthesize(make_import(rows), data, settings, report=told.append)
    assert told[-1].failed
    with pytest.raises(UserError, match="no row of label 'sad'"):
        synthesize(make_import(sentences("glad", 9)), data, settings)


@pytest.fixture(scope="module")
def spam():
    if not THEIRS.is_dir():
        pytest.skip(f"no synthetic rows at {THEIRS}")
    task = find_task("sms_spam", Path())
    return load(task, Settings(home=Path("/nowhere"), data_dir=SHARED), 0.1)


def import_spam(data, settings, file: str, rows: int):
    item = ImportConfig(name="llama2-70b", task="sms_spam", file=str(THEIRS / file))
    generator = GeneratorConfig(model=item.name)
    job = SynthesisJob(data.task, "imported", generator, 0, rows, 0, ORDER, imported=item)
    result = synthesize(job, data, settings)
    return result, read_rows(Store(settings.store_url), result.key)[1]


def test_messages_written_from_scratch_are_mostly_kept(spam, settings):
    result, _ = import_spam(spam, settings, "llama2_70b_generated_1000_each.csv", 100)
    assert result.label_counts == {"ham": 100, "spam": 100} and not result.short
    assert 200 <= result.yields.requested <= 600


def test_rewrites_of_real_messages_are_found(spam, settings):
    """Of 4,457 rewrites of real messages a tenth has its original in the pool, a fifth in our own test set."""
    result, rejected = import_spam(spam, settings, "llama2_70b_rephrased.csv", 4000)
    assert result.yields.requested == sum(1 for _ in csv.DictReader((THEIRS / "llama2_70b_rephrased.csv").open()))
    counts = Counter(row.reason for row in rejected)
    print(counts, result.yields)
    assert counts["pool_copy"] + counts["rewrite"] > 0
