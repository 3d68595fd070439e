"""Several texts in one answer: what is asked for, and what comes back in every shape that models give it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.generation.form import FIELD, Form

LIST, JSON = Form(3), Form(3, as_json=True)


@pytest.mark.parametrize(
    "answer",
    [
        '{"texts": ["one", "two", "three"]}',
        '```json\n{"texts": ["one", "two", "three"]}\n```',
        'Sure! Here they are:\n{"texts": ["one", "two", "three"]}',
        '{"texts": ["one", "two", "three"',
        "{'texts': ['one', 'two', 'three',]}",
        '["one", "two", "three"]',
        '{"messages": [{"text": "one"}, {"text": "two"}, {"text": "three"}]}',
        "1. one\n2. two\n3. three",
        "1) one\n\n2) two\n\n3) three",
        "Here are three:\n\n(1) one\n(2) two\n(3) three",
        "**1.** one\n**2.** two\n**3.** three",
        "- one\n- two\n- three",
        "one\ntwo\nthree",
        "1. one\n2. two\n3. three\n4. four too many",
    ],
)
@pytest.mark.parametrize("form", [LIST, JSON])
def test_every_common_shape_is_read(answer, form):
    assert form.split(answer) == ("one", "two", "three")


def test_a_text_may_run_over_lines_and_hold_marks_of_its_own():
    assert LIST.split("1. call 0800 123\n   now - or never\n2. version 2.0 is out") == (
        "call 0800 123 now - or never",
        "version 2.0 is out",
    )


def test_a_text_that_was_cut_off_is_left_out():
    assert LIST.split("1. one\n2. two\n3. thr", cut=True) == ("one", "two")
    assert JSON.split('{"texts": ["one", "tw', cut=True) == ("one",)


@pytest.mark.parametrize("answer", ["", "  \n", "{}", '{"texts": []}', '{"texts": [3, null]}'])
def test_an_answer_without_texts_gives_none_that_are_not_there(answer):
    assert len(JSON.split(answer)) <= 1


def test_one_text_is_the_whole_answer():
    assert Form().split('{"texts": 1}\n2. x') == ('{"texts": 1}\n2. x',)
    assert Form().schema is None and LIST.schema is None


def test_the_schema_and_the_instruction_name_the_same_field():
    assert JSON.schema["json_schema"]["schema"]["required"] == [FIELD]
    assert FIELD in JSON.instruction and "3" in JSON.instruction


TEXTS = st.lists(
    st.from_regex(r"[A-Za-z][A-Za-z ,!?']{0,60}[a-z]", fullmatch=True).filter(lambda text: "  " not in text),
    min_size=1,
    max_size=8,
)


@given(TEXTS)
def test_whatever_texts_are_listed_come_back(texts):
    form = Form(max(2, len(texts)))
    assert form.split("\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))) == tuple(texts)
    assert form.split(json.dumps({FIELD: texts})) == tuple(texts)


@given(st.text(max_size=300), st.booleans())
def test_no_answer_breaks_it(answer, cut):
    texts = JSON.split(answer, cut)
    assert len(texts) <= 3 and all(texts)
