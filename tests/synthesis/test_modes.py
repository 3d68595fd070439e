"""Modes: what they ask (golden files, one a mode and catalog task) and which rows they train on."""

import random
from pathlib import Path

import pytest

from tasks.config import TaskConfig
from tasks.data import catalog
from tasks.errors import UserError
from tasks.records import Example, TaskData
from tasks.synthesis.form import Form
from tasks.synthesis.mode import Turn
from tasks.synthesis.modes import MODES, find_mode

GOLDEN = Path(__file__).parent / "golden"
WRITING = sorted(name for name, mode in MODES.items() if mode.needs_generator)


def rendered(mode: str, task: TaskConfig) -> str:
    """All prompts of a conversation for each label, with stand-ins for real and generated texts."""
    writer, parts = find_mode(mode).writer, []
    for label in task.labels:
        pool = tuple(Example(f"<{label} text {i} of the pool>", label) for i in range(9))
        earlier = tuple(f"<text {i} of the conversation>" for i in range(writer.turns - 1))
        messages = writer.messages(Turn(task, label, pool, random.Random(0), earlier))
        parts += [f"=== {label}", *(f"--- {m['role']}\n{m['content']}" for m in messages)]
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("task", catalog.names())
@pytest.mark.parametrize("mode", WRITING)
def test_prompts_are_as_recorded(mode, task, regenerate):
    path = GOLDEN / f"{mode}.{task}.txt"
    text = rendered(mode, catalog.find_task(task, Path("/")))
    if regenerate:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", WRITING)
def test_prompts_say_what_is_asked_for(mode, task):
    text = rendered(mode, task)
    for part in (task.context, task.text, *task.labels.values(), str(task.max_words)):
        assert part in text


def test_examples_are_of_the_label_and_differ_from_call_to_call(task):
    pool = tuple(Example(f"text {i}", "glad") for i in range(50))
    drawn = {
        tuple(
            m["content"] for m in find_mode("few_shot").writer.messages(Turn(task, "glad", pool, random.Random(i), ()))
        )
        for i in range(20)
    }
    assert len(drawn) == 20


def test_an_unknown_mode_names_the_allowed_ones():
    with pytest.raises(UserError, match=r"unknown mode 'few_shots'. Did you mean 'few_shot'\? Allowed: .*zero_shot"):
        find_mode("few_shots")


@pytest.fixture
def real(task: TaskConfig) -> TaskData:
    train = tuple(Example(f"{label} {i}", label) for label, n in (("glad", 30), ("sad", 10)) for i in range(n))
    return TaskData(task, train=train, pool=train[:4], test=(), source="fixture")


def test_real_rows_match_the_counts_asked_for(real):
    rows = find_mode("real").select(real, (), {"glad": 7, "sad": 7}, 0)
    assert [row.label for row in rows].count("glad") == [row.label for row in rows].count("sad") == 7
    assert set(rows) <= set(real.train)


def test_the_reference_keeps_natural_shares(real):
    rows = find_mode("real_full").select(real, (), {"glad": 15, "sad": 5}, 0)
    assert [row.label for row in rows].count("glad") == 15 and len(rows) == 20


@pytest.mark.parametrize("mode", WRITING)
def test_written_modes_train_on_generated_rows_alone(mode, real):
    made = tuple(Example(f"made {label} {i}", label) for label in real.task.labels for i in range(5))
    rows = find_mode(mode).select(real, made, {"glad": 3, "sad": 2}, 0)
    assert rows == (*made[:3], *made[5:7])


@pytest.mark.parametrize("name", MODES)
def test_every_mode_says_what_it_is(name):
    assert MODES[name].summary and MODES[name].name == name


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("mode", WRITING)
def test_several_texts_are_asked_for_in_every_turn(mode, as_json, task):
    writer, form = find_mode(mode).writer, Form(5, as_json)
    pool = tuple(Example(f"text {i}", "glad") for i in range(9))
    for earlier in [("<answer>",) * i for i in range(writer.turns)]:
        last = writer.messages(Turn(task, "glad", pool, random.Random(0), earlier, form))[-1]["content"]
        assert "5" in last and form.instruction in last and "the text alone" not in last
