"""What counts as a word: a sequence of letters and digits, or one other character. Case does not matter."""

import re

WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The words of a text in their order, in lower case."""
    return WORD.findall(text.lower())
