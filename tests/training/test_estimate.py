import numpy as np
import pytest

from tasks.records import Example, TaskData
from tasks.store import Store
from tasks.training import embeddings
from tasks.training.classifiers.probe import embedder_of
from tasks.training.estimate import EMBEDDED_CHARACTER, PROBE_SECONDS, START_SECONDS, seconds_to_train

PROBE = {"model": "probe/embedded/minilm-l6"}


def data(task):
    train = tuple(Example(f"{i:03} train", "ham") for i in range(100))
    return TaskData(task, train, (), tuple(Example(f"{i:03} tests", "ham") for i in range(50)), "made up")


def probes(make_job, **fields):
    return [make_job(classifier=PROBE, label_counts={"ham": 10, "spam": 10}, **fields, seed=seed) for seed in range(3)]


def estimate(jobs, store, test_rows=None):
    return seconds_to_train(jobs, [data(jobs[0].task)], test_rows, store)


def test_seeds_of_probes_on_the_same_rows_embed_them_once(make_job, tmp_path):
    jobs, store = probes(make_job), Store(str(tmp_path))
    assert estimate(jobs, store, 30) == pytest.approx(
        START_SECONDS + 3 * PROBE_SECONDS + (20 + 30) * 9 * EMBEDDED_CHARACTER
    )
    generated = probes(make_job, mode="few_shot", source="llm")
    both = estimate([*jobs, *generated], store, 30)
    assert both == pytest.approx(START_SECONDS + 6 * PROBE_SECONDS + (20 + 20 + 30) * 9 * EMBEDDED_CHARACTER)


def test_several_draws_share_some_of_their_rows(make_job, tmp_path):
    jobs = [job for draw in range(3) for job in probes(make_job, draw=draw)]
    texts = 100 * (1 - 0.8**3) + 50
    assert estimate(jobs, Store(str(tmp_path))) == pytest.approx(
        START_SECONDS + 9 * PROBE_SECONDS + texts * 9 * EMBEDDED_CHARACTER
    )


def test_texts_that_are_embedded_take_no_time_and_say_how_long_the_others_take(make_job, tmp_path):
    jobs, store = probes(make_job), Store(str(tmp_path))
    rows = data(jobs[0].task)
    texts = [row.text for row in (*rows.train, *rows.test)]
    embeddings.embed(texts, embedder_of(jobs[0].classifier), store, encode=lambda few: np.ones((len(few), 2)))
    assert estimate(jobs, store) == pytest.approx(START_SECONDS + 3 * PROBE_SECONDS, rel=0.1)


def test_an_encoder_that_never_ran_is_unknown(make_job, tmp_path):
    assert estimate([make_job(classifier={"model": "probe/some/encoder"})], Store(str(tmp_path))) is None
    assert estimate([make_job(classifier={"model": "some/encoder"})], Store(str(tmp_path))) is None
