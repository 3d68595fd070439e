import csv
import io
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tasks.data.catalog import find_task
from tasks.data.load import load, read
from tasks.data.readers import movie_reviews, sms_spam
from tasks.data.split import same_text
from tasks.settings import Settings

BODY = st.text(string.ascii_letters + " .,!'£ü", min_size=1, max_size=30).map(str.strip).filter(bool)
MESSAGE = st.tuples(BODY, st.sampled_from(["ham", "spam"]))


@effort(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(MESSAGE, min_size=1, max_size=5)), min_size=1, max_size=6))
def test_glued_messages_come_apart(cells: list[tuple[bool, list[tuple[str, str]]]]) -> None:
    """A glued cell is what a quote at the start of one message and another at the end of a later one leave."""
    wanted, rows = [], []
    for number, (glue, messages) in enumerate(cells):
        messages = messages if glue and len(messages) > 1 else messages[:1]
        texts = [text for text, _ in messages]
        later = "".join(f"\n{label}\t{text}" for text, label in messages[1:])
        rows.append([number, int(messages[0][1] == "spam"), texts[0] + later])
        if len(texts) > 1:
            texts[0], texts[-1] = f'"{texts[0]}', f'{texts[-1]}"'
        wanted += [(text, label) for text, (_, label) in zip(texts, messages, strict=True)]
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["", "spam", "text"], *rows])
    examples, _ = sms_spam(file.getvalue().encode())
    assert [(example.text, example.label) for example in examples] == wanted


def test_all_messages_of_the_collection_are_recovered(settings: Settings) -> None:
    rows = read(find_task("sms_spam", Path()), settings).train
    assert len(rows) == 5574
    assert Counter(row.label for row in rows) == {"ham": 4827, "spam": 747}
    assert not any("\n" in row.text or "\tham" in row.text for row in rows)
    assert any(row.text.endswith('LOVE JEN XXX"') for row in rows)  # its quote had closed a glued cell


def test_the_recovered_messages_are_those_that_others_recovered(settings: Settings, shared: Path) -> None:
    def letters(text: str) -> str:
        return "".join(filter(str.isalnum, same_text(text)))

    data = load(find_task("sms_spam", Path()), settings, 0.1)
    others = load(find_task("sms_spam", Path()), settings.model_copy(update={"data_dir": shared}), 0.1)
    assert {letters(row.text) for row in data.train + data.test} == {
        letters(row.text) for row in others.train + others.test
    }


def test_headlines(settings: Settings) -> None:
    data = load(find_task("headline_sarcasm", Path()), settings, 0.1)
    assert len(data.train) + len(data.test) == 28614 - 116
    assert "116 duplicates dropped" in data.source
    assert 0.45 < sum(row.label == "sarcastic" for row in data.train) / len(data.train) < 0.5


def test_ratings_become_label_and_agreement() -> None:
    ratings = b"1\t2.0\t1\t[3, 1, 0, -1]\n2\t0\t1\t[1, -1]\n3\t-1\t1\t[-1, -1, -2]\n"
    snippets = b"id\tsentiment\ttext\r\n1\t2\tA ''gem''.\r\n2\t0\tWell.\r\n3\t-1\tDull.\r\n"
    examples, notes = movie_reviews(snippets, ratings)
    assert [(e.text, e.label, e.agreement) for e in examples] == [
        ('A "gem".', "positive", 0.5),
        ("Dull.", "negative", 1.0),
    ]
    assert notes == ("1 snippets with a mean rating of 0 left out",)


def test_film_reviews_have_real_disagreement(settings: Settings) -> None:
    data = load(find_task("movie_reviews", Path()), settings, 0.1)
    agreements = [row.agreement for row in data.train + data.test]
    assert len(agreements) == 10605 - 37 - 2
    assert all(a is not None and 0 < a <= 1 for a in agreements)
    disputed = sum(a is not None and a < 0.8 for a in agreements) / len(agreements)
    assert 0.1 < disputed < 0.3
    assert not any("''" in row.text for row in data.train)


@pytest.mark.parametrize("name", ["sms_spam", "headline_sarcasm", "movie_reviews"])
def test_loading_is_the_same_every_time(name: str, settings: Settings) -> None:
    task = find_task(name, Path())
    assert load(task, settings, 0.1).key == load(task, settings, 0.1).key
