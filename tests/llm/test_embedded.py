"""The packaged LLM itself, in a process of its own: as the gateway uses it, and behind llama.cpp's HTTP server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.generation.synthesize import synthesize

pytestmark = pytest.mark.slow

ASK = """
import json, sys
from tasks.config import GeneratorConfig
from tasks.llm import gateway, loop
from tasks.llm.calls import Request

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


LISTEN = """
import sys, xllamacpp
from tasks.llm.embedded import weights

params = xllamacpp.CommonParams()
params.model.path = str(weights("embedded/smollm2-135m-instruct"))
params.model_alias = {"smollm2-135m-instruct"}
params.hostnames, params.port, params.n_parallel, params.n_ctx = ["127.0.0.1"], 0, 4, 4096
params.verbosity = -1
server = xllamacpp.Server(params)
print(f"\\n{server.listening_address}", file=sys.stderr, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def listener() -> Iterator[str]:
    """Address of llama.cpp's own HTTP server, in a process that ends with its standard input."""
    command, root = [sys.executable, "-c", LISTEN], Path(__file__).parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=root, **pipes) as process:
        lines = (line for line in process.stderr if line.startswith("http://"))
        yield next(lines).strip() + "/v1"
        process.stdin.close()
        process.stderr.close()


@pytest.mark.parametrize("mode", ["zero_shot", "few_shot"])
def test_a_whole_synthesis_over_http(mode, listener, make_job, data, settings) -> None:
    params = {"min_p": 0.1, "stop": ["\n"]}
    job = make_job(mode, rows=3, model="openai/smollm2-135m-instruct", api_base=listener, completions=2, max_tokens=24)
    job = replace(job, generator=job.generator.model_copy(update={"params": {"extra_body": params}}))
    result = synthesize(job, data, settings)
    assert sum(result.label_counts.values()) > 0
    assert result.model_answered == "smollm2-135m-instruct"
    assert result.tokens_in > 0 and result.tokens_out > 0 and result.cost_usd is None


def test_several_texts_by_a_schema_over_http(listener, make_job, data, settings) -> None:
    job = make_job(
        "zero_shot",
        rows=3,
        model="openai/smollm2-135m-instruct",
        api_base=listener,
        texts_per_call=3,
        json_schema=True,
        max_tokens=150,
    )
    result = synthesize(job, data, settings)
    texts = [answer["text"] for answer in _answers(settings)]
    assert texts and all(text.lstrip().startswith("{") for text in texts)
    assert result.yields.requested >= 3


def _answers(settings) -> list[dict]:
    lines = [line for path in (settings.home / "journals").glob("*.jsonl") for line in path.read_text().splitlines()]
    return [answer for line in lines for answer in json.loads(line)["answers"]]
