"""Sends prompts with distilabel's OpenAILLM, ``--at-once`` at a time, and prints the seconds of the whole run.

    ENV/bin/python benchmarks/distilabel/run.py --url http://127.0.0.1:8000/v1 --prompts prompts.jsonl

It runs in distilabel's own environment (requirements.txt here), so it imports nothing from this project.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import ChatGeneration


def main() -> None:
    """Send the prompts and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--prompts", type=Path, required=True, help="JSONL with a field messages")
    parser.add_argument("--at-once", type=int, default=50)
    options = parser.parse_args()
    prompts = [json.loads(line) for line in options.prompts.read_text().splitlines()]

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache, Pipeline(name="calls", cache_dir=cache) as pipeline:
        llm = OpenAILLM(
            model="served-model", base_url=options.url, api_key="none", generation_kwargs={"max_new_tokens": 108}
        )
        source = LoadDataFromDicts(data=prompts, batch_size=options.at_once)
        write = ChatGeneration(llm=llm, input_batch_size=options.at_once)
        source >> write
        written = pipeline.run(use_cache=False)["default"]["train"]
    texts = sum(bool(row["generation"]) for row in written)
    print(json.dumps({"seconds": time.perf_counter() - begun, "texts": texts}))


if __name__ == "__main__":
    main()
