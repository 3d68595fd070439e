"""What counts as a word where words are counted: a run of letters and digits, or one other sign; case aside."""

import re

WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The words of a text in their order, in lower case."""
    return WORD.findall(text.lower())
