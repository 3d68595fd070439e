"""The packaged LLM answers questions: nothing but labels, the same ones again, and long prompts that fit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ASK = """
from tasks.labelling.untrained import UntrainedJob, untrained_arm, classify
from tasks.labelling.judges import judge
from tasks.labelling.panel import annotate
from tasks.config import GeneratorConfig, SubjectivityConfig
from tasks.records import Example
from tasks.settings import Settings
from tasks.store import Store
from dataclasses import replace
from tests.labelling.conftest import make_data

llm = {"model": "embedded/smollm2-135m-instruct"}
config = SubjectivityConfig(annotators=(llm,), judges=(llm,), personas=("You are quick.",), items=4, comparisons=4)
many = make_data("letter", *(f"label{i}" for i in range(28)))
long = tuple(Example("many words " * 200 + str(i), row.label) for i, row in enumerate(many.pool))
many = replace(many, pool=long, test=tuple(Example("other words " * 200 + str(i), f"label{i}") for i in range(28)))
data, settings = make_data("mood", "glad", "sad"), Settings()
generator = GeneratorConfig(**llm)
job = UntrainedJob(untrained_arm(many.task, "llm_few_shot", generator), many.task, 0, None, generator, 28)
trial = classify(job, many, settings)
assert trial.status == "ok" and trial.n_test == 28 and trial.cost_usd == 0 and trial.latency_s > 0, trial
votes = annotate(data, config, None, settings)
assert len(votes) == 4 and {vote.label for vote in votes} <= {"glad", "sad"}, votes
made = judge([data, many], config, settings)
store = Store(settings.store_url)
[told] = [store.get("judgements", key) for key in store.keys("judgements")]
assert set(told["unanswered"].values()) == {0.0} and len(made) == told["decided"] <= told["pairs"] == 2, told
print("ok")
"""


def test_every_question_has_an_answer(tmp_path) -> None:
    root = Path(__file__).parents[2]
    names = {"HOME": str(tmp_path), "SYNTHGAP_HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, capture_output=True, text=True, env=names, cwd=root, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ok"
