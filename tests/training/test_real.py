"""The packaged encoder, really trained, in one worker process."""

import json

import numpy as np
import pytest

from tasks.config import EMBEDDED_CLASSIFIER
from tasks.settings import Settings
from tasks.store import Store
from tasks.training import encoders, worker
from tasks.training.trial import read_predictions, run_trial

PROBE = {"model": "probe/embedded/minilm-l6"}


@pytest.mark.slow
def test_fine_tuning_learns_and_repeats_itself(make_job, settings, tmp_path, spam):
    trial = run_trial(make_job(), settings, spam[:80], spam[80:])
    assert (trial.status, trial.error) == ("ok", None)
    assert trial.macro_f1 > 0.6
    predictions = read_predictions(Store(settings.store_url), trial.key)
    assert [p.label for p in predictions] == [row.label for row in spam[80:]]
    assert all(sum(p.probabilities) == pytest.approx(1, abs=1e-4) for p in predictions)
    elsewhere = Settings(home=tmp_path / "elsewhere")
    again = run_trial(make_job(), elsewhere, spam[:80], spam[80:])
    assert not again.cached
    repeated = read_predictions(Store(elsewhere.store_url), again.key)
    assert [p.item for p in repeated] == [p.item for p in predictions]
    # to the bit on most machines; a GPU adds in an order of its own
    assert [p.probabilities for p in repeated] == [pytest.approx(p.probabilities, abs=1e-3) for p in predictions]


def test_the_probe_learns(make_job, settings, spam):
    trial = run_trial(make_job(classifier=PROBE), settings, spam[:80], spam[80:])
    assert (trial.status, trial.error) == ("ok", None)
    assert trial.macro_f1 > 0.75


@pytest.mark.slow
def test_divergence_is_a_failed_cell(make_job, settings, spam):
    classifier = {"model": EMBEDDED_CLASSIFIER, "epochs": 1, "min_steps": 8, "learning_rate": 1e30}
    trial = run_trial(make_job(classifier=classifier), settings, spam[:32], spam[80:90])
    assert trial.status == "failed"
    assert "finite" in trial.error or "diverged" in trial.error


@pytest.mark.slow  # the hub's library tries for 50 s
def test_a_hub_model_that_cannot_be_fetched_is_a_failed_cell(make_job, settings, spam):
    classifier = {"model": "nobody-at-all/no-such-model", "revision": "0123abc"}
    trial = run_trial(make_job(classifier=classifier), settings, spam[:8], spam[80:90])
    assert trial.status == "failed"
    assert "cannot load classifier 'nobody-at-all/no-such-model' at revision '0123abc'" in trial.error


def test_a_broken_folder_is_a_failed_cell(make_job, settings, spam, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    trial = run_trial(make_job(classifier={"model": str(tmp_path)}), settings, spam[:8], spam[80:90])
    assert trial.status == "failed"
    assert "cannot load classifier" in trial.error


def test_embeddings_do_not_depend_on_their_batch():
    texts = ["short", "a rather longer text about something else entirely, with a comma"]
    encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
    together, tokens = worker.call(encoders.embed, encoder, texts, 64, "fp32", 1)
    alone = np.vstack([worker.call(encoders.embed, encoder, [text], 64, "fp32", 1).vectors for text in texts])
    assert together.shape == (2, 384)
    assert tokens == [3, 15], "with those that begin and end a text"
    assert worker.call(encoders.embed, encoder, texts, 15, "fp32", 1).tokens == [3, 0], "which may have been cut"
    assert together == pytest.approx(alone, abs=1e-4)
