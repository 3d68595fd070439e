"""Judges of tasks: balanced pairs, both orders, resume; and people's judgements."""

import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config import SubjectivityConfig
from tasks.errors import UserError
from tasks.labelling.judges import describe, judge, judge_interviews, schedule, stored_judgements
from tasks.labelling.people import read_judgements
from tasks.records import Judgement
from tasks.store import Store
from tests.endpoint import chat
from tests.generation.conftest import FakeLLM
from tests.labelling.conftest import BrokenError, breaks_after, make_data

TASKS = [make_data(name, "yes", "no") for name in ("mood", "size", "place", "topic")]


def config(comparisons: int = 36, personas: int = 3, **fields) -> SubjectivityConfig:
    named = tuple(f"You are number {i}." for i in range(personas))
    return SubjectivityConfig(**{"judges": ("fake/llm",), "personas": named, "comparisons": comparisons, **fields})


@given(st.integers(1, 200), st.integers(1, 5), st.integers(2, 4))
def test_comparisons_are_even_over_pairs_judges_and_orders(comparisons, personas, tasks) -> None:
    found = schedule(TASKS[:tasks], config(comparisons, personas))
    assert len(found) == comparisons - comparisons % 2
    pairs = Counter(frozenset((c.first.task.name, c.second.task.name)) for c in found)
    possible = tasks * (tasks - 1) // 2
    assert max(pairs.values(), default=0) - (min(pairs.values()) if len(pairs) == possible else 0) <= 2
    seen = Counter((c.judge.name, c.round, c.first.task.name, c.second.task.name) for c in found)
    assert set(seen.values()) <= {1}
    assert all((judge, round_, second, first) in seen for judge, round_, first, second in seen)
    judges = Counter(c.judge.name for c in found)
    if comparisons >= 2 * possible * personas:
        assert max(judges.values()) - min(judges.values()) <= 2 * possible


def test_a_judge_that_always_says_a_says_nothing(settings) -> None:
    assert judge(TASKS, config(72), settings, complete=FakeLLM(answer=lambda _: "A")) == ()
    [key] = Store(settings.store_url).keys("judgements")
    stored = Store(settings.store_url).get("judgements", key)
    assert (stored["first_share"], stored["decided"], stored["pairs"]) == (1, 0, 36)


def test_only_pairs_decided_alike_in_both_orders_count(settings) -> None:
    def answer(request) -> str:
        question = request.messages[-1]["content"]
        if "mood" not in question:
            return "A"
        return "A" if question.index("Task B") < question.index("mood") else "B"  # mood is the subjective one

    made = judge(TASKS, config(36), settings, complete=FakeLLM(answer=answer))
    assert {item.subjective for item in made} == {"mood"}
    assert len(made) == 9  # 3 of 6 pairs, each seen by every judge


def test_a_judge_that_knows_is_understood_in_both_orders(settings) -> None:
    def answer(request) -> str:
        question = request.messages[-1]["content"]
        return "A." if question.index("mood") < question.index("size") else "Answer: b"

    made = judge(TASKS[:2], config(12), settings, complete=FakeLLM(answer=answer))
    assert Counter((item.objective, item.subjective) for item in made) == {("mood", "size"): 6}
    assert Counter(item.judge for item in made) == {f"fake/llm · You are number {i}.": 2 for i in range(3)}


def test_the_definition_and_the_tasks_are_shown_but_no_test_text(settings) -> None:
    llm = FakeLLM(answer=lambda _: "B")
    judge(TASKS, config(), settings, complete=llm)
    assert all("clear, identifiable features in the text" in r.messages[0]["content"] for r in llm.asked)
    assert not any("test " in message["content"] for r in llm.asked for message in r.messages)
    text = describe(TASKS[0], 0)
    assert "What is the mood of a note?" in text and "- yes: a note of yes people" in text
    assert text.count('"pool mood yes') == text.count('"pool mood no') == 2
    assert len({describe(TASKS[0], i) for i in range(5)}) > 1


def test_many_labels_have_all_their_names_and_not_too_many_examples() -> None:
    text = describe(make_data("letter", *(f"label{i}" for i in range(28))), 0)
    assert all(f"- label{i}:" in text for i in range(28)) and text.count('"pool') == 16


def test_comparisons_with_the_same_first_task_stand_together() -> None:
    for _, comparisons in judge_interviews(TASKS, config(72)):
        firsts = [(c.round, c.first.task.name) for c in comparisons]
        changes = sum(a != b for a, b in pairwise(firsts))
        assert changes == len(set(firsts)) - 1


def first_by_name(request) -> str:
    first, second = re.findall(r"What is the (\w+)", request.messages[-1]["content"])
    return "A" if first < second else "B"


def test_judgements_are_found_again_and_a_killed_judge_goes_on(settings) -> None:
    llm = FakeLLM(answer=first_by_name)
    with pytest.raises(BrokenError):
        judge(TASKS, config(), settings, complete=breaks_after(10, llm))
    made = judge(TASKS, config(), settings, complete=llm)
    assert len(llm.asked) == 2 * len(made) == 36
    assert judge(TASKS, config(), settings, complete=breaks_after(0, llm)) == made
    assert stored_judgements(TASKS, config(), settings) == made


def test_damaged_judgements_are_made_again_without_a_question(settings) -> None:
    llm = FakeLLM(answer=first_by_name)
    made = judge(TASKS, config(), settings, complete=llm)
    [path] = (settings.home / "store" / "judgements").rglob("judgements.jsonl")
    path.write_bytes(path.read_bytes()[:100])
    assert stored_judgements(TASKS, config(), settings) is None
    assert judge(TASKS, config(), settings, complete=breaks_after(0, llm)) == made
    assert stored_judgements(TASKS, config(), settings) == made


def test_no_answer_is_no_judgement(settings) -> None:
    made = judge(TASKS, config(), settings, complete=FakeLLM(answer=lambda _: "Both are."))
    assert made == ()
    [key] = Store(settings.store_url).keys("judgements")
    assert set(Store(settings.store_url).get("judgements", key)["unanswered"].values()) == {1.0}


@pytest.mark.parametrize("fields", [{"judges": ()}, {}])
def test_nobody_to_judge_or_nothing_to_compare(fields, settings) -> None:
    llm = FakeLLM()
    assert judge(TASKS if fields else TASKS[:1], config(**fields), settings, complete=llm) == () and not llm.asked


def test_over_http(settings, serve) -> None:
    endpoint = serve(chat("A", model="served-model"))
    asked = config(12, judges=({"model": "openai/served-model", "api_base": endpoint.url},))
    assert judge(TASKS[:2], asked, settings) == ()  # the same answer whatever the order
    assert len(endpoint.bodies) == 12


def write(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "people.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_peoples_judgements(tmp_path) -> None:
    text = "\ufeffsubjective, judge,objective,when\nmood,Ann,size,today\nmood,Bob,size,\n"
    found = read_judgements(write(tmp_path, text), ("mood", "size"))
    assert found == (Judgement("Ann", "size", "mood"), Judgement("Bob", "size", "mood"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("judge,objective\na,mood\n", r"no column 'subjective'; needed: judge, objective, subjective, found: judge"),
        ("", r"no column 'judge'.*found: none"),
        ("judge,objective,subjective\n", r"has no rows"),
        (
            "judge,objective,subjective\na,mod,size\n",
            r"line 2: unknown task 'mod'. Did you mean 'mood'\? Allowed: mood, size",
        ),
        ("judge,objective,subjective\na,mood,size\nb,mood,mood\n", r"line 3: task 'mood' is compared with itself"),
        ("judge,objective,subjective\n,mood,size\n", r"line 2: the column judge is empty"),
        ("judge,objective,subjective\na,mood\n", r"line 2: unknown task ''"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text, complaint, tmp_path) -> None:
    with pytest.raises(UserError, match=complaint):
        read_judgements(write(tmp_path, text), ("mood", "size"))


def test_files_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot read judgements"):
        read_judgements(tmp_path / "none.csv", ("mood",))
    (tmp_path / "environment").write_text("OPENAI_API_KEY=hunter2")
    with pytest.raises(UserError, match=r"not a \.csv") as caught:  # a message shows what a table begins with
        read_judgements(tmp_path / "environment", ("mood",))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(UserError, match="UTF-8"):
        read_judgements(write(tmp_path, "judge,objective,subjective\nä,mood,size\n", "latin-1"), ("mood", "size"))
