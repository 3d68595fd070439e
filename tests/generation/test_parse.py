"""Answers to texts."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.generation.parse import parse

LABELS = ("ham", "not_spam")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("hello there", "hello there"),
        ('"hello there"', "hello there"),
        ("“hello there”", "hello there"),
        ("Sure, here is a text message:\n\nhello there", "hello there"),
        ("Sure! Here's another one: hello there", "hello there"),
        ('Here is a spam message: "win now"', "win now"),
        ("Certainly!\nhello there", "hello there"),
        ("Text message: hello there", "hello there"),
        ("**Headline:** dog bites man", "dog bites man"),
        ("Not spam: see you", "see you"),
        ("not_spam: see you", "see you"),
        ("HAM: see you", "see you"),
        ("1. hello there", "hello there"),
        ("- hello there", "hello there"),
        ("```text\nhello there\n```", "hello there"),
        ("```\nhello there\n```\nHope this helps!", "hello there"),
        ("**hello there**", "hello there"),
        ("<think>what to write</think>\nhello there", "hello there"),
        ("Text: \"1) 'hello there'\"", "hello there"),
        ('he said "no"', 'he said "no"'),
        ('"no" he said "yes"', '"no" he said "yes"'),
        ("'tis the dogs' day'", "'tis the dogs' day'"),
        ("50 new tones: text YES", "50 new tones: text YES"),
        ("urgent: call now", "urgent: call now"),
        ("sure, see you at 5", "sure, see you at 5"),
        ("here is the thing. i love you", "here is the thing. i love you"),
        ("2 for 1 at the pub", "2 for 1 at the pub"),
        ("", ""),
        ("   \n ", ""),
    ],
)
def test_wrapping_comes_off_and_the_text_stays(answer, text):
    assert parse(answer, LABELS) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("One sentence. And a half", "One sentence."),
        ("first line\nsecond li", "first line"),
        ("no end in sight of this", ""),
        ("Is it? Yes! But then", "Is it? Yes!"),
    ],
)
def test_a_cut_answer_loses_its_unfinished_end(answer, text):
    assert parse(answer, LABELS, cut=True) == text


WRAPS = ['"{}"', "Sure, here is a text:\n\n{}", "Text: {}", "1. {}", "```\n{}\n```", "ham: {}", "**{}**", "“{}”"]
WORDS = ["we", "met", "two", "dogs", "by", "the", "old", "mill", "today"]
PLAIN = st.lists(st.sampled_from(WORDS), min_size=2).map(" ".join)


@example("we we", ["Text: {}", "**{}**"])
@example("we we", ["**{}**", "ham: {}"])
@given(PLAIN, st.lists(st.sampled_from(WRAPS), max_size=2))
def test_any_wrapping_of_a_plain_text_comes_off(text, wraps):
    answer = text
    for wrap in dict.fromkeys(wraps):
        answer = wrap.format(answer)
    assert parse(answer, LABELS) == text


@given(st.text(), st.booleans())
def test_parsing_is_stable_and_only_takes_away(answer, cut):
    text = parse(answer, LABELS, cut)
    assert text in answer
    assert parse(text, LABELS) == text
