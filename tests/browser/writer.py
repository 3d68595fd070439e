"""Two versions of an LLM in a small world: the older often writes what was not asked for, the newer rarely does."""

import json
import random
import time

from tests.endpoint import Endpoint, Reply, chat

PHRASES = {
    "spam": "you have won|a free prize|call now|claim your voucher|urgent reply|txt STOP to end|cash awarded|"
    "guaranteed offer|win a mobile|new ringtone|free entry|last chance",
    "ham": "see you tonight|sorry I'm late|home for dinner|love you|going to the gym|ok lol|mum says hi|"
    "meeting at work|on the bus|lunch tomorrow|just woke up|after class",
}
OLDER, NEWER = "openai/in-house-v1", "openai/in-house-v2"
MISSES = {"in-house-v1": 0.45, "in-house-v2": 0.1}
"""Share of the phrases of a text that belong to the other label."""
SECONDS = 0.3
"""Until an answer comes: long enough to watch a synthesis."""


class Writer(Endpoint):
    """Answers by the label that a prompt describes and the model that is asked; what it says depends on the call."""

    def __init__(self) -> None:
        super().__init__(chat())

    def reply(self, body: dict[str, object]) -> Reply:
        time.sleep(SECONDS)
        asked, model = json.dumps(body["messages"]), str(body["model"])
        label = "spam" if "commercial" in json.dumps(body["messages"][1]) else "ham"
        other = "ham" if label == "spam" else "spam"
        rng = random.Random(f"{asked} {body.get('seed')} {model}")
        kinds = [other if rng.random() < MISSES[model] else label for _ in range(5)]
        return chat(", ".join(rng.choice(PHRASES[kind].split("|")) for kind in kinds), model=model)
