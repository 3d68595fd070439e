"""Each filter's verdicts, with their evidence."""

import pytest

from tasks.errors import UserError
from tasks.records import Example, Row
from tasks.synthesis.filter import Scene, normalise, text_hash
from tasks.synthesis.filters import FILTERS, ORDER, find_filters

POOL = (Example("Are you coming to the pub tonight?", "glad"), Example("Ok lor", "sad"))


@pytest.fixture
def scene(task) -> Scene:
    return Scene(task, POOL, frozenset({text_hash("See you at the old mill, mate!")}))


def verdict(name: str, scene: Scene, text: str) -> str | None:
    return FILTERS[name].build(scene)(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty", ""),
        ("empty", " ... !!"),
        ("debris", "I'm sorry, but I can't assist with that."),
        ("debris", "As an AI language model, I have no friends."),
        ("debris", "I cannot create spam"),
        ("debris", "Sure, I'd be happy to help with that"),
        ("debris", "Here is a short text message that you can send"),
        ("debris", "Let me know if you want more"),
        ("debris", "The original text was a bit long"),
        ("debris", "Dear [Name], you won"),
        ("debris", "call [your phone number] now"),
        ("debris", "hello<|im_end|>"),
        ("debris", "love love love love love"),
        ("debris", "I love you on the bus! " * 4),
        ("debris", "Imagine that you write notes to friends"),
        ("over_long", "word " * 41),
        ("pool_copy", "are you coming to the pub tonight"),
        ("pool_copy", "Are you coming to the club tonight?"),
        ("pool_copy", "Hi Tom! Are you coming to the pub tonight? I am so bored here without you, call me"),
        ("test_leak", "see you at the OLD mill mate"),
    ],
)
def test_bad_texts_are_rejected_with_evidence(name, text, scene):
    assert verdict(name, scene, text)


GOOD = [
    "Are you coming to the cinema with all of us next week?",
    "sorry i can't make it tonight, help yourself to the food",
    "Sure, see you there",
    "no no no way",
    "ha ha ha that is so good",
    "urgent! you won 2000 pounds, call 0800 123 456 now",
    "here is where i am: at the gym",
    "Ok lor, i go home first then come find u",
    "日本語のメッセージ",
    "word " * 0 + "a b c d e f g h i j k l m n o p q r s t",
]


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("name", sorted(FILTERS))
def test_good_texts_pass(name, text, scene):
    assert verdict(name, scene, text) is None


def test_duplicates_are_found_across_case_and_punctuation_and_labels(scene):
    check = FILTERS["duplicate"].build(scene)
    assert check("Hello, there!") is None
    scene.kept.append(Row("Hello, there!", "glad", "glad/0/0"))
    assert "glad/0/0" in check("hello   THERE")
    assert check("hello where") is None


def test_every_filter_is_applied_and_named():
    assert set(ORDER) == set(FILTERS)
    assert all(FILTERS[name].name == name for name in FILTERS)


def test_an_unknown_filter_names_the_allowed_ones():
    with pytest.raises(UserError, match=r"unknown filter 'dupes'.*duplicate"):
        find_filters(["dupes"])


def test_normal_form():
    assert normalise("  Héllo, WORLD_wide!! ２０ ") == "héllo world wide 20"
    assert text_hash("!!!") != text_hash("???")
