"""Modes: what they ask (golden files, one a mode and catalog task) and which rows they train on."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config import TaskConfig
from tasks.data import catalog
from tasks.errors import UserError
from tasks.generation.form import Form
from tasks.generation.mode import PromptInputs
from tasks.generation.modes import MODES, find_mode
from tasks.records import Example, TaskData, count_labels

GOLDEN = Path(__file__).parent / "golden"
WRITING = sorted(name for name, mode in MODES.items() if mode.template and mode.template.name == name)
"""Modes with a template of their own; others share one of these."""


def rendered(mode: str, task: TaskConfig) -> str:
    """All prompts of a conversation for each label, with stand-ins for real and generated texts."""
    template, parts = find_mode(mode).template, []
    for label in task.labels:
        pool = tuple(Example(f"<{label} text {i} of the pool>", label) for i in range(9))
        earlier = tuple(f"<text {i} of the conversation>" for i in range(template.turns - 1))
        messages = template.messages(PromptInputs(task, label, pool, random.Random(0), earlier))
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
            m["content"]
            for m in find_mode("few_shot").template.messages(PromptInputs(task, "glad", pool, random.Random(i), ()))
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
    template, form = find_mode(mode).template, Form(5, as_json)
    pool = tuple(Example(f"text {i}", "glad") for i in range(9))
    for earlier in [("<answer>",) * i for i in range(template.turns)]:
        last = template.messages(PromptInputs(task, "glad", pool, random.Random(0), earlier, form))[-1]["content"]
        assert "5" in last and form.instruction in last and "the text alone" not in last


def made_rows(task: TaskConfig, n: int) -> tuple[Example, ...]:
    return tuple(Example(f"made {label} {i}", label) for label in task.labels for i in range(n))


@pytest.mark.parametrize("name", sorted(name for name, mode in MODES.items() if mode.template))
def test_a_prompt_template_has_the_name_of_a_mode_that_trains_on_its_rows_alone(name):
    assert MODES[MODES[name].source].template is MODES[name].template
    assert MODES[name].source in WRITING


def test_the_pool_alone_is_all_of_the_pool(real):
    mode = find_mode("pool_only")
    assert mode.source is None
    assert mode.count(real, {"glad": 9, "sad": 9}) == {"glad": 4, "sad": 0}
    assert mode.select(real, (), {"glad": 4, "sad": 0}, 0) == real.pool


def test_pool_plus_synthetic_adds_the_rows_that_few_shot_trains_on(real):
    mode, made, counts = find_mode("pool_plus_synthetic"), made_rows(real.task, 5), {"glad": 3, "sad": 2}
    wanted = mode.count(real, counts)
    assert wanted == {"glad": 7, "sad": 2}
    rows = mode.select(real, made, wanted, 0)
    assert rows == (*real.pool, *find_mode("few_shot").select(real, made, counts, 0))
    assert count_labels(rows, real.task.labels) == wanted
    assert mode.source == "few_shot"


def test_a_mix_has_the_share_in_its_name_and_its_writer(real):
    rows = find_mode("mix/75/zero_shot").select(real, made_rows(real.task, 8), {"glad": 8, "sad": 4}, 0)
    assert count_labels(rows, real.task.labels) == {"glad": 8, "sad": 4}
    generated = [row for row in rows if row.text.startswith("made")]
    assert count_labels(generated, real.task.labels) == {"glad": 6, "sad": 3}
    assert set(rows) - set(generated) <= set(real.train)
    assert find_mode("mix/75/zero_shot").source == "zero_shot" and find_mode("mix/75").source == "few_shot"
    assert find_mode("mix/75").count(real, {"glad": 20, "sad": 20}) == {"glad": 20, "sad": 10}


@given(st.integers(1, 98), st.integers(1, 30), st.integers(0, 3))
def test_mixes_are_nested(percent, n, draw):
    task = catalog.find_task("sms_spam", Path("/"))
    train = tuple(Example(f"{label} {i}", label) for label in task.labels for i in range(30))
    data, made, counts = TaskData(task, train, (), (), "made up"), made_rows(task, n), dict.fromkeys(task.labels, n)
    less, more = (set(find_mode(f"mix/{p}").select(data, made, counts, draw)) for p in (percent, percent + 1))
    assert less & set(made) <= more & set(made)
    assert more & set(train) <= less & set(train)
    assert len(less) == len(more) == 2 * n
    assert more & set(train) <= set(find_mode("real").select(data, (), counts, draw))


@pytest.mark.parametrize(
    "name", ["mix", "mix/0", "mix/100", "mix/abc", "mix/050", "mix/-5", "mix/5/zero_shot/x", "mix/"]
)
def test_a_mix_without_a_share_is_told_what_is_allowed(name):
    with pytest.raises(UserError, match=rf"mode '{name}'.*from 1 to 99.*mix/<percent generated"):
        find_mode(name)


@pytest.mark.parametrize("template", ["real", "few_shots", "pool_plus_synthetic", "imported", ""])
def test_a_mix_with_an_unknown_mode_of_an_llm_names_the_known_ones(template):
    with pytest.raises(UserError, match=rf"'mix/50/{template}': '{template}'.*Allowed: few_shot, zero_shot"):
        find_mode(f"mix/50/{template}")


def test_the_allowed_modes_include_families():
    with pytest.raises(UserError, match=r"Allowed: .*mix/<percent"):
        find_mode("blend/50")
