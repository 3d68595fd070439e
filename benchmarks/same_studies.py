"""The studies of ``same_results``, small and of all usual kinds, and the LLM that they call.

The LLM is an endpoint on loopback with several model names. Its answers depend only on the call.
"""

import csv
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.endpoint import Endpoint, Reply, chat
from tests.provider import DEBRIS, REFUSAL, ROOT, sentence

PROBE = "probe/embedded/minilm-l6"
FINE_TUNED = {"model": "embedded/minilm-l6", "epochs": 1, "min_steps": 3, "max_length": 32}
OTHERS_ROWS = "synthetic/sms_spam/llama2_70b_generated_1000_each.csv"
"""File in the data directory: messages that another LLM wrote."""
REFUSED = "refused"
"""The model that accepts no key. Every run calls it, because failures are not stored."""
PAPER_TASKS = ["ag_news", "sms_spam", "financial_phrasebank", "tweet_irony", "headline_sarcasm"]
"""Five of the paper's ten tasks, those with short texts."""


class Llm(Endpoint):
    """Generates texts, labels and judges. Model ``lists`` gives several texts in an answer, ``sparse`` repeats texts,
    ``silent`` gives empty answers, ``refused`` accepts no key.

    With ``down`` it refuses every call.
    """

    def __init__(self, port: int = 0, down: bool = False) -> None:
        self.down = down
        super().__init__(port=port)

    @property
    def heard(self) -> int:
        """Number of calls of all models except ``refused``."""
        return sum(body["model"] != REFUSED for body in self.bodies)

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()

    def reply(self, body: dict[str, Any]) -> Reply:
        """The answer to one call."""
        model = str(body["model"])
        if self.down or model == REFUSED:
            return 401, {}, {"error": {"message": "no such key", "code": "invalid_api_key"}}
        said = [str(message["content"]) for message in body["messages"]]
        rng = random.Random(f"{model} {said} {body.get('seed')}")
        texts = [_answer(model, said, rng) for _ in range(body.get("n") or 1)]
        status, headers, answer = chat(model=model)
        assert isinstance(answer, dict)
        choice = answer["choices"][0]
        answer["choices"] = [
            {**choice, "index": i, "message": {"role": "assistant", "content": text}} for i, text in enumerate(texts)
        ]
        written = sum(map(len, texts)) // 4
        answer["usage"] = {"prompt_tokens": sum(map(len, said)) // 4, "completion_tokens": written}
        answer["usage"]["total_tokens"] = sum(answer["usage"].values())
        if rng.random() < 0.04:
            del answer["usage"]
        return status, headers, answer


def _answer(model: str, said: list[str], rng: random.Random) -> str:
    if model == "silent":
        return ""
    if "Answer with the name of one label" in said[0]:
        return _label(said, rng)
    if "Answer with A or B" in said[0]:
        return _judgement(said, rng)
    if wanted := re.search(r"these (\d+) texts", said[-1]):
        return "\n".join(f"{i + 1}. {_text(model, said, rng)}" for i in range(int(wanted[1])))
    return _text(model, said, rng)


def _label(said: list[str], rng: random.Random) -> str:
    """A label: often the one that all annotators choose for a text, else a random one, sometimes none."""
    options = sorted(re.findall(r"^(?:-|\d+\.) (.+?): ", said[0], re.MULTILINE))
    if rng.random() < 0.05:
        return "I cannot tell."
    return random.Random(said[-1]).choice(options) if rng.random() < 0.6 else rng.choice(options)


def _judgement(said: list[str], rng: random.Random) -> str:
    """The task with the shorter title, in both orders; sometimes the other one."""
    first, second = map(len, re.findall(r"^Task [AB]: (.+)$", said[-1], re.MULTILINE))
    return "AB"[(first > second) != (rng.random() < 0.1)]


def _text(model: str, said: list[str], rng: random.Random) -> str:
    """A sentence with words of the label's meaning; sometimes a text that a filter rejects."""
    [meaning] = re.findall(r"of this kind: (.+?)\.(?: Style| Use|$)", said[1])[:1] or [said[1]]
    kind = rng.random()
    if kind < 0.05:
        return REFUSAL
    if kind < 0.08:
        return ""
    words = re.findall(r"\w+", meaning)
    number = rng.randrange(4 if model == "sparse" else 10**9)
    choice = random.Random(f"{meaning} {number}")
    debris = DEBRIS if kind < 0.12 else ""
    return debris + sentence(meaning, number)[:60] + " " + " ".join(choice.choices(words, k=5)) + "."


def write_studies(folder: Path, url: str, data: Path) -> list[Path]:
    """Write the studies' YAML files and the files that they name; returns the YAML files in the order of running."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_rows(folder / "theirs.csv", ("text", "label"), _theirs())
    of_one_label = [
        *((sentence("one", i), "spam") for i in range(12)),
        (REFUSAL, "ham"),
    ]  # the filters reject this row, so that the other label has none
    _write_rows(folder / "one_label.csv", ("text", "label"), of_one_label)
    _write_rows(folder / "people.csv", ("judge", "objective", "subjective"), _people())
    paths = []
    for name, config in _studies(url, data).items():
        paths.append(folder / f"{name}.yaml")
        content = {**config, "name": name}
        paths[-1].write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return paths


def _studies(url: str, data: Path) -> dict[str, Mapping[str, Any]]:
    def llm(name: str, **more: Any) -> dict[str, Any]:
        return {"model": f"openai/{name}", "api_base": url, "concurrency": 8, **more}

    writer, price = llm("writer"), {"input": 1, "output": 2}
    named = llm("writer", endpoint="a-server", completions=2, price=price)
    lists = llm("lists", texts_per_call=3, json_schema=False, price=price)
    personas = ["You are a careful expert.", "You are young."]
    small = {"tasks": ["sms_spam"], "classifiers": [PROBE], "seeds": [0, 1], "test_rows": 60, "reference_rows": 0}
    return {
        "demo": {
            **_shipped("quickstart"),
            **{"generators": [writer], "classifiers": [PROBE], "rows_per_label": 12},
            **{"test_rows": 100, "reference_rows": 40},
        },
        "paper": {
            **(shape := _shipped("paper-small")),
            **{"tasks": PAPER_TASKS, "generators": [writer], "classifiers": [PROBE], "seeds": [0, 1]},
            **{"rows_per_label": 6, "test_rows": 50, "pool_rows_per_label": 4, "baseline_rows": 20},
            "subjectivity": {**shape["subjectivity"], "annotators": [writer], "judges": [writer], "items": 40},
        },
        "mixes": {
            **small,
            "modes": [
                "real",
                "zero_shot",
                "few_shot",
                "mix/25",
                "mix/50/zero_shot",
                "pool_only",
                "pool_plus_synthetic",
            ],
            **{"generators": [named, lists], "rows_per_label": 9, "pool_rows_per_label": 5, "synthesis_per": "seed"},
        },
        "imports": {
            **small,
            **{"modes": ["real", "imported"], "generators": [], "classifiers": [FINE_TUNED, PROBE]},
            **{"rows_per_label": 10, "seeds": [0]},
            "imports": [
                {"name": "llama2", "task": "sms_spam", "file": str((data / OTHERS_ROWS).absolute())},
                {"name": "theirs", "task": "sms_spam", "file": "theirs.csv", "cost_usd": 2},
            ],
        },
        "baselines": {
            **small,
            **{"tasks": ["sms_spam", "headline_sarcasm"], "modes": ["real"], "generators": [writer, lists]},
            **{"rows_per_label": 6, "baselines": ["majority", "llm_zero_shot", "llm_few_shot"], "baseline_rows": 40},
        },
        "subjectivity": {
            **small,
            **{"tasks": ["sms_spam", "headline_sarcasm", "financial_phrasebank"], "modes": ["real", "zero_shot"]},
            **{"generators": [writer], "seeds": [0], "rows_per_label": 6},
            "subjectivity": {
                **{"annotators": [writer, llm("lists")], "personas": personas, "items": 48},
                **{"judges": [writer], "comparisons": 12, "judgements": "people.csv"},
            },
        },
        "failed": {
            **small,
            **{"modes": ["real", "few_shot", "imported"], "generators": [writer, llm("silent"), llm(REFUSED)]},
            **{"seeds": [0], "rows_per_label": 6},
            "imports": [{"name": "one label", "task": "sms_spam", "file": "one_label.csv"}],
        },
        "short": {
            **small,
            **{"modes": ["real", "few_shot", "mix/50"], "generators": [llm("sparse")], "synthesis_per": "seed"},
            **{"rows_per_label": 12, "extra_texts": 0.5},
            "filters": ["debris", "duplicate", "near_duplicate", "pool_copy", "test_leak", "label_check"],
        },
    }


def _shipped(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "deployments" / "studies" / f"{name}.yaml").read_text("utf-8"))
    return content


def _theirs() -> list[tuple[str, str]]:
    """Rows with fewer of one label than are wanted, and two texts that a filter rejects."""
    rows = [(sentence(label, i), label) for label, n in (("ham", 14), ("spam", 7)) for i in range(n)]
    return [*rows, rows[0], ("", "ham")]


def _people() -> list[tuple[str, str, str]]:
    pairs = [("sms_spam", "headline_sarcasm"), ("sms_spam", "financial_phrasebank")]
    pairs += [("financial_phrasebank", "headline_sarcasm"), ("headline_sarcasm", "sms_spam")]
    return [(f"person {i}", *pair) for i in range(3) for pair in pairs[: 4 - i]]


def _write_rows(path: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
