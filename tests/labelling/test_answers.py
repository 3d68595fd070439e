"""Answers are read leniently, and never guessed."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.labelling.answers import grammar, listing, parse

SPAM = ("ham", "spam")
NEWS = ("World", "Sports", "Business", "Sci/Tech")
NAMES = st.text("abcdefghijkäöß -/+", min_size=1, max_size=12).map(str.strip).filter(bool)
OPTIONS = st.lists(NAMES, min_size=2, max_size=6, unique_by=lambda name: " ".join(name.casefold().split()))
SHAPES = [
    "{}", "{}.", " {}\n", '"{}"', "'{}'", "**{}**", "`{}`", "({})", "Answer: {}", "answer: {}.", "Label: '{}'",
    "The answer is {}.", "The label is: {}", "**Answer:** {}", "Category = {}", "{}\n\nBecause it is so.",
    "My final answer is **{}**!",
]  # fmt: skip


@given(OPTIONS, st.data(), st.sampled_from(SHAPES), st.sampled_from([str, str.upper, str.lower, str.title]))
def test_a_named_option_is_found_in_any_dress(options, data, shape, case) -> None:
    option = data.draw(st.sampled_from(options))
    assume(len({re.sub(r"\W", "", name.casefold()) for name in options}) == len(options))
    assume(all(re.sub(r"\W", "", name) for name in options) and case(option).casefold() == option.casefold())
    assume(not {"because it is so."} & {name.casefold() for name in options})
    assert parse(shape.format(case(option)), options) == option


@given(
    OPTIONS, st.data(), st.sampled_from(["{}", "{}.", "({})", "Option {}", "Answer: {}", "{}) {name}", "{}. {name}."])
)
def test_the_number_of_an_option_stands_for_it(options, data, shape) -> None:
    assume(len({re.sub(r"\W", "", name.casefold()) for name in options}) == len(options))
    assume(all(re.sub(r"\W", "", name) for name in options))
    index = data.draw(st.integers(0, len(options) - 1))
    assert parse(shape.format(index + 1, name=options[index]), options) == options[index]


@given(st.text(), OPTIONS)
def test_nothing_but_an_option_comes_out(text, options) -> None:
    assert parse(text, options) in (None, *options)


@given(st.text("qrtuvwxyz .,\n:'\"", max_size=60))
def test_a_text_that_names_no_option_is_no_answer(text) -> None:
    assert parse(text, SPAM) is None


@pytest.mark.parametrize(
    "said",
    [
        "", " \n", "spam or ham", "ham\nspam", "It is not spam", "spammer", "3", "0", "2. ham", "1 or 2",
        "I'd say: spam?!? maybe", "Answer:", "spam. The text is ham", "²", "1.5", "-1",
    ],
)  # fmt: skip
def test_doubtful_is_no_answer(said) -> None:
    assert parse(said, SPAM) is None


def test_numbers_follow_the_order_shown() -> None:
    assert parse("2", ("spam", "ham")) == "ham"
    assert listing(("spam", "ham"), ("bad", "good")) == "1. spam: bad\n2. ham: good"


def test_labels_that_are_numbers_are_names() -> None:
    assert parse("1", ("0", "1")) == "1"
    assert parse("2", ("1", "0")) is None
    assert listing(("0", "1"), ("no", "yes")) == "- 0: no\n- 1: yes"


def test_options_that_differ_in_case_only_must_be_named_exactly() -> None:
    assert parse("US", ("us", "US")) == "US"
    assert parse("Us", ("us", "US")) is None


def test_a_slash_in_a_name() -> None:
    assert parse("sci/tech.", NEWS) == "Sci/Tech"


def test_a_grammar_quotes_its_options() -> None:
    assert grammar(('say "no"', "yes")) == 'root ::= "say \\"no\\"" | "yes"'
