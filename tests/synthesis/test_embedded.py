"""The packaged LLM itself, in a process of its own, as the gateway uses it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ASK = """
import json, sys
from tasks.config import GeneratorConfig
from tasks.synthesis import gateway, loop
from tasks.synthesis.calls import Request

generator = GeneratorConfig(model="embedded/smollm2-135m-instruct")
gateway.prepare(generator)
messages = ({"role": "user", "content": "Write a news headline about cats."},)

async def ask():
    return [await gateway.complete(Request(messages, generator, 24, seed, n)) for seed, n in ((1, 1), (1, 1), (2, 3))]

done = loop.run(ask())
print(json.dumps([[[a.text for a in call.answers], call.model, call.cost_usd, call.tokens_out] for call in done]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[list]:
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        capture_output=True,
        text=True,
        env={"PATH": "", "HOME": str(home), "SYNTHGAP_HOME": str(home)},
        cwd=Path(__file__).parents[2],
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # nothing but our own line is on stdout


def test_it_writes_for_nothing(answers: list[list]) -> None:
    for texts, model, cost, tokens in answers:
        assert all(text.strip() and "\n" not in text.strip() for text in texts)
        assert model.endswith("smollm2-135m-instruct")
        assert cost == 0
        assert 0 < tokens <= 25 * len(texts)


def test_a_seed_gives_its_text_again_and_another_seed_another(answers: list[list]) -> None:
    texts = [answer[0] for answer in answers]
    assert texts[0] == texts[1] != texts[2]


def test_one_prompt_gives_several_texts(answers: list[list]) -> None:
    assert [len(texts) for texts, *_ in answers] == [1, 1, 3]
    assert len(set(answers[2][0])) == 3
