import pytest

from tasks.analysis.subjectivity.paper import NUMBERS, published
from tasks.data.catalog import find_task
from tasks.generation.modes import find_mode


@pytest.mark.parametrize(
    ("classifier", "expected"),
    [
        ("google-bert/bert-base-uncased", [("BERT", 0.893)]),
        ("FacebookAI/roberta-large", [("RoBERTa", 0.886)]),
        ("microsoft/deberta-v3-base", [("BERT", 0.893), ("RoBERTa", 0.886)]),
        ("embedded/minilm-l6", [("BERT", 0.893), ("RoBERTa", 0.886)]),
    ],
)
def test_a_cell_finds_its_family_s_number(classifier, expected):
    assert [(n.classifier, n.accuracy) for n in published("ag_news", "zero_shot", classifier)] == expected


def test_what_is_not_known_is_not_made_up():
    assert published("headline_sarcasm", "few_shot", "bert-base-uncased") == ()
    assert published("sms_spam", "real", "bert-base-uncased") == ()
    assert [n.classifier for n in published("headline_sarcasm", "real", "bert-base-uncased")] == [None]


def test_numbers_are_of_our_tasks_and_modes(tmp_path):
    for number in NUMBERS:
        assert find_task(number.task, tmp_path).name == number.task
        assert find_mode(number.mode)
        assert 0 < number.accuracy < 1
