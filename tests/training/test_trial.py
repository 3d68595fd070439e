import dataclasses
import json
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis.compare import compare
from tasks.errors import RunError
from tasks.records import Example, content_key
from tasks.store import Store
from tasks.training.classifiers import resolve
from tasks.training.devices import device_name
from tasks.training.hardware import precision
from tasks.training.trial import (
    TRAINING_VERSION,
    item_key,
    label_pairs,
    read_predictions,
    run_trial,
    trial_key,
)

rows_of = st.lists(st.builds(Example, st.text(max_size=5), st.sampled_from(["ham", "spam"])), max_size=8)


class Fake:
    """Says spam for every text with an exclamation mark; counts how often it was asked."""

    def __init__(self):
        self.seen = []

    def __call__(self, training):
        self.seen.append(training)
        return np.array([[0.2, 0.8] if "!" in text else [0.9, 0.1] for text in training.test_texts])


TRAIN = [Example("hello", "ham"), Example("win!", "spam")]
TEST = [Example("how are you", "ham", 0.75), Example("cash!", "spam"), Example("free cash", "spam")]


def test_scores_and_predictions_are_kept(make_job, settings):
    trial = run_trial(make_job(), settings, TRAIN, TEST, train=Fake())
    assert (trial.status, trial.cached, trial.n_train, trial.n_test) == ("ok", False, 2, 3)
    assert trial.accuracy == pytest.approx(2 / 3)
    assert trial.label_counts == {"ham": 1, "spam": 1}
    predictions = read_predictions(Store(settings.store_url), trial.key)
    assert [p.predicted for p in predictions] == ["ham", "spam", "ham"]
    assert predictions[0].item == item_key("how are you")
    assert predictions[0].agreement == 0.75
    assert predictions[1].probabilities == (0.2, 0.8)
    manifest = Store(settings.store_url).get("trials", trial.key)
    assert manifest["confusion"] == [[1, 0], [1, 1]]
    assert manifest["device"] == device_name()


def test_the_same_rows_are_trained_on_once_and_named_after_who_asks(make_job, settings):
    train, few_shot = Fake(), make_job(mode="few_shot", source="llm")
    first = run_trial(make_job(), settings, TRAIN, TEST, train=train)
    again = run_trial(few_shot, settings, TRAIN[::-1], TEST, train=train)
    assert len(train.seen) == 1
    assert again == dataclasses.replace(first, arm=few_shot.arm, cached=True)


FIND = """
import pickle, sys
from tasks.training.trial import run_trial
print(run_trial(*pickle.load(sys.stdin.buffer)).cached, "torch" in sys.modules)
"""


def test_a_store_hit_needs_no_torch(make_job, settings):
    run_trial(make_job(), settings, TRAIN, TEST, train=Fake())
    asked = pickle.dumps((make_job(), settings, TRAIN, TEST))
    done = subprocess.run([sys.executable, "-c", FIND], input=asked, capture_output=True, check=True)
    assert done.stdout.split() == [b"True", b"False"]


@given(rows_of, rows_of, st.integers(0, 9))
def test_a_key_is_that_of_all_that_shapes_a_trial(make_job, train, test, seed):
    job = make_job(seed=seed)
    plain = {
        "version": TRAINING_VERSION,
        "train": sorted((row.text, row.label) for row in train),
        "test": sorted((row.text, row.label, -1 if row.agreement is None else row.agreement) for row in test),
        "labels": list(job.task.labels),
        "classifier": resolve(job.classifier),
        "seed": seed,
        "precision": precision(),
    }
    for _ in range(2):  # the second time, what rows add to the key is remembered
        assert trial_key(job, train, test) == content_key(plain)


@pytest.mark.parametrize("name", ["manifest.json", "predictions.jsonl"])
@pytest.mark.parametrize("content", [b"", b"{}\n", None])
def test_a_damaged_trial_is_trained_again(make_job, settings, name, content):
    train = Fake()
    first = run_trial(make_job(), settings, TRAIN, TEST, train=train)
    path = settings.home / "store" / "trials" / first.key / name
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    again = run_trial(make_job(), settings, TRAIN, TEST, train=train)
    assert (again.status, again.cached, again.macro_f1) == ("ok", False, first.macro_f1) and len(train.seen) == 2
    assert len(read_predictions(Store(settings.store_url), first.key)) == 3
    assert run_trial(make_job(), settings, TRAIN, TEST, train=train).cached


def test_a_trial_that_is_found_counts_as_used(make_job, settings):
    key = run_trial(make_job(), settings, TRAIN, TEST, train=Fake()).key
    manifest = settings.home / "store" / "trials" / key / "manifest.json"
    os.utime(manifest, (0, 0))
    assert run_trial(make_job(), settings, TRAIN, TEST, train=Fake()).cached and manifest.stat().st_mtime > 0


@pytest.mark.parametrize("gone", [True, False])
def test_predictions_that_vanish_in_the_middle_of_a_study_are_one_line(make_job, settings, gone):
    trial, store = run_trial(make_job(), settings, TRAIN, TEST, train=Fake()), Store(settings.store_url)
    path = settings.home / "store" / "trials" / trial.key
    (path / "predictions.jsonl").unlink() if gone else (path / "predictions.jsonl").write_bytes(b"x")
    for read in (lambda: compare([trial], store, 0.02), lambda: label_pairs(store, trial.key)):
        with pytest.raises(RunError, match=rf"trials/{trial.key} .* damaged: predictions.jsonl .*; run the study"):
            read()


def test_predictions_without_hashes_are_held_against_their_number(make_job, settings):
    train = Fake()
    first = run_trial(make_job(), settings, TRAIN, TEST, train=train)
    folder = settings.home / "store" / "trials" / first.key
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.pop("stored", None)  # as schema 0 wrote it
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert run_trial(make_job(), settings, TRAIN, TEST, train=train).cached
    lines = (folder / "predictions.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "predictions.jsonl").write_bytes(b"".join(lines[:2]))
    assert not run_trial(make_job(), settings, TRAIN, TEST, train=train).cached


def test_labels_with_any_line_break_are_read_again(make_job, settings):
    odd = ["ham", "sp\u2028am\x85"]
    job = make_job()
    job = dataclasses.replace(job, task=job.task.model_copy(update={"labels": dict.fromkeys(odd, "x")}))
    train, test = ([dataclasses.replace(row, label=odd[row.label == "spam"]) for row in rows] for rows in (TRAIN, TEST))
    trial = run_trial(job, settings, train, test, train=Fake())
    assert trial.status == "ok"
    assert {item.label for item in read_predictions(Store(settings.store_url), trial.key)} == set(odd)


def test_a_failed_training_is_recorded_and_tried_again(make_job, settings):
    def diverge(training):
        raise RunError("training diverged")

    failed = run_trial(make_job(), settings, TRAIN, TEST, train=diverge)
    assert (failed.status, failed.error, failed.macro_f1) == ("failed", "training diverged", None)
    assert run_trial(make_job(), settings, TRAIN, TEST, train=Fake()).status == "ok"


def test_numbers_that_are_not_finite_never_become_a_score(make_job, settings):
    trial = run_trial(make_job(), settings, TRAIN, TEST, train=lambda t: np.full((3, 2), np.nan))
    assert trial.status == "failed"
    assert "NaN probabilities" in trial.error


@pytest.mark.parametrize(
    ("train_rows", "test_rows", "said"),
    [
        ([Example("a", "ham")], TEST, "all 1 have label 'ham'"),
        ([], TEST, "there are none"),
        (TRAIN, [], "there are no test rows"),
        (TRAIN, [Example("a", "eggs")], "labels that the task does not have: eggs"),
    ],
)
def test_rows_that_cannot_be_trained_on_fail_the_cell(make_job, settings, train_rows, test_rows, said):
    trial = run_trial(make_job(), settings, train_rows, test_rows, train=Fake())
    assert trial.status == "failed"
    assert said in trial.error


@given(rows=rows_of, seed=st.integers(0, 9))
def test_the_key_forgets_order_and_names(make_job, rows, seed):
    shuffled = random.Random(seed).sample(rows, len(rows))
    key = trial_key(make_job(seed=1), rows, TEST)
    assert trial_key(make_job(seed=1, mode="zero_shot", source="x", draw=3), shuffled, TEST[::-1]) == key
    assert trial_key(make_job(seed=2), rows, TEST) != key
    assert trial_key(make_job(seed=1), [*rows, Example("one more", "ham")], TEST) != key
    assert trial_key(make_job(seed=1), rows, TEST[:2]) != key


def test_agreement_is_part_of_the_test_rows(make_job):
    known = [dataclasses.replace(row, agreement=0.0) for row in TEST]
    unknown = [dataclasses.replace(row, agreement=None) for row in TEST]
    assert trial_key(make_job(), TRAIN, known) != trial_key(make_job(), TRAIN, unknown)
