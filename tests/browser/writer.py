"""LLMs of a small world: an old one that often writes what was not asked for, and a new one that rarely does."""

import json
import random

from tests.endpoint import Endpoint, Reply, chat

WORDS = {
    "spam": "free prize claim call now win cash urgent txt reply stop mobile awarded guaranteed voucher tone offer",
    "ham": "home later love going dinner see tonight ok sorry work mum meeting tomorrow bus sleep lunch lol class",
}
MISSES = {"old-llm": 0.6, "new-llm": 0.1}
"""Share of the words of a text that belong to the other label."""


class Writer(Endpoint):
    """Answers by the label that a prompt describes and the model that is asked; what it says depends on the call."""

    def __init__(self) -> None:
        super().__init__(chat())

    def reply(self, body: dict[str, object]) -> Reply:
        asked = json.dumps(body["messages"])
        label = "spam" if "commercial" in json.dumps(body["messages"][1]) else "ham"
        other = "ham" if label == "spam" else "spam"
        rng = random.Random(f"{asked} {body.get('seed')} {body['model']}")
        kinds = [other if rng.random() < MISSES[str(body["model"])] else label for _ in range(10)]
        return chat(" ".join(rng.choice(WORDS[kind].split()) for kind in kinds), model=str(body["model"]))
