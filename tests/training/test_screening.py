import dataclasses

import numpy as np
import pytest

from tasks.errors import RunError
from tasks.records import Example
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.classifiers import probe
from tasks.training.screening import Cell, is_screened, run_trials
from tasks.training.trial import read_predictions, run_trial

PROBE = {"model": "probe/embedded/minilm-l6"}


class Encoder:
    """Embeds texts by made-up vectors that depend on the text alone; counts the texts."""

    def __init__(self):
        self.asked = 0

    def __call__(self, texts):
        self.asked += len(texts)
        return np.array([np.random.default_rng(list(text.encode())).normal(size=6) for text in texts], np.float32)


class FitEach:
    """Fits in this process; counts the fits."""

    def __init__(self):
        self.fits = 0

    def __call__(self, vectors, fits, labels):
        self.fits += len(fits)
        return probe.fit_predict_each(vectors, fits, labels)


def rows(prefix, count):
    return [Example(f"{prefix} {i}", ("ham", "spam")[i % 2]) for i in range(count)]


TEST = rows("test", 9)


def screen(cells, settings, encode=None, fit_each=None):
    return list(run_trials(cells, settings, encode=encode or Encoder(), fit_each=fit_each or FitEach()))


def without_time(trial):
    return dataclasses.replace(trial, seconds=0)


def test_a_batch_gives_what_each_trial_gives_alone(make_job, settings, tmp_path):
    jobs = [make_job(classifier=PROBE, seed=seed) for seed in range(4)]
    cells = [Cell(job, rows(f"train {job.seed}", 10 + job.seed), TEST) for job in jobs]
    screened = screen(cells, settings)
    other = Settings(home=tmp_path / "alone")

    def alone(training):
        texts = [*training.texts, *training.test_texts]
        places = range(len(texts))
        fit = probe.Fit(tuple(places[: len(training.texts)]), training.row_labels, tuple(places[len(training.texts) :]))
        [(probabilities, _)] = probe.fit_predict_each(Encoder()(texts), [fit], training.labels)
        return probabilities

    single = [run_trial(cell.job, other, cell.train_rows, TEST, train=alone) for cell in cells]
    assert list(map(without_time, screened)) == list(map(without_time, single))
    stores = Store(settings.store_url), Store(other.store_url)
    for trial in screened:
        ours, theirs = (read_predictions(store, trial.key) for store in stores)
        for left, right in zip(ours, theirs, strict=True):
            assert left.probabilities == pytest.approx(right.probabilities, abs=1e-6)
            assert dataclasses.replace(left, probabilities=()) == dataclasses.replace(right, probabilities=())
        manifests = [store.get("trials", trial.key) for store in stores]
        assert [manifest.pop("scores").keys() for manifest in manifests] and manifests[0] == manifests[1]
    found = run_trial(jobs[0], settings, cells[0].train_rows, TEST, train=None)
    assert found.cached and found.macro_f1 == screened[0].macro_f1


def test_seeds_of_the_same_rows_are_fitted_once_and_stored_each(make_job, settings):
    fit_each, encode = FitEach(), Encoder()
    cells = [Cell(make_job(classifier=PROBE, seed=seed), rows("train", 10), TEST) for seed in range(5)]
    trials = screen(cells, settings, encode, fit_each)
    assert (fit_each.fits, encode.asked) == (1, 10 + len(TEST))
    assert len({trial.key for trial in trials}) == 5 and len({trial.macro_f1 for trial in trials}) == 1
    again = screen(cells, settings, encode, fit_each)
    assert all(trial.cached for trial in again) and fit_each.fits == 1


def test_the_same_rows_under_another_name_are_the_same_trial(make_job, settings):
    names = [make_job(classifier=PROBE), make_job(classifier=PROBE, mode="few_shot", source="llm")]
    first, twin = screen([Cell(job, rows("train", 10), TEST) for job in names], settings)
    assert (first.cached, twin.cached, first.key) == (False, True, twin.key) and twin.arm == names[1].arm


def test_cells_fail_alone(make_job, settings):
    def encode(texts):
        vectors = Encoder()(texts)
        vectors[[text.startswith("odd") for text in texts]] = np.nan
        return vectors

    job = make_job(classifier=PROBE)
    good = Cell(job, rows("train", 10), TEST)
    one_label = Cell(job, [Example("a", "ham")], TEST)
    odd = Cell(job, [*rows("train", 10), *rows("odd", 2)], TEST)
    no_test = Cell(job, rows("train", 10), [])
    trials = screen([one_label, odd, good, no_test, one_label], settings, encode)
    assert [trial.status for trial in trials] == ["failed", "failed", "ok", "failed", "failed"]
    assert "all 1 have label 'ham'" in trials[0].error and trials[4].error == trials[0].error
    assert "NaN" in trials[1].error and "there are no test rows" in trials[3].error
    assert screen([odd], settings, lambda texts: Encoder()(texts))[0].status == "failed"  # its vectors are kept as NaN


def test_an_encoder_that_cannot_be_used_fails_what_is_not_stored(make_job, settings):
    def broken(texts):
        raise RunError("cannot load classifier")

    known = Cell(make_job(classifier=PROBE), rows("train", 10), TEST)
    screen([known], settings)
    new = Cell(make_job(classifier=PROBE), rows("more", 10), TEST)
    found, failed = screen([known, new], settings, broken)
    assert found.cached and (failed.status, failed.error) == ("failed", "cannot load classifier")


def test_probes_are_screened_and_nothing_else(make_job):
    assert is_screened(make_job(classifier=PROBE).classifier)
    assert not is_screened(make_job().classifier)
