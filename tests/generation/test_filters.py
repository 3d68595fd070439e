"""Each filter's verdicts, with their evidence."""

import random
from dataclasses import replace

import pytest
import yaml
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from tasks.config import Study, StudyConfig
from tasks.errors import UserError
from tasks.generation.filter import Check, FilterContext, normalise, text_hash
from tasks.generation.filters import FILTERS, ORDER, filter_names, find_filters
from tasks.generation.filters.language import LANGUAGES, identifier
from tasks.generation.filters.near_duplicate import shingles
from tasks.generation.filters.near_duplicate import similarity as jaccard
from tasks.generation.filters.rewrite import LONG_ENOUGH, Parameters
from tasks.generation.filters.rewrite import similarity as rouge_l
from tasks.generation.keys import calls_key, synthesis_key
from tasks.generation.synthesize import read_rows, synthesize
from tasks.planning.grid import synthesis_jobs
from tasks.planning.names import resolve
from tasks.records import Example, Row
from tasks.store import Store
from tests.generation.conftest import WORDS, FakeLLM

POOL = (
    Example("Are you coming to the pub tonight?", "glad"),
    Example("Ok lor", "sad"),
    Example("I will meet you at the old station after work on Friday", "glad"),
    Example("see you at the pub", "sad"),
)
KEPT = (
    Row("Thank you so much for the lovely flowers that you sent to me yesterday", "sad", "sad/3/0", answer=2),
    Row("Ok lah", "sad", "sad/4/0"),
)


@pytest.fixture
def context(task) -> FilterContext:
    return FilterContext(task, POOL, frozenset({text_hash("See you at the old mill, mate!")}), list(KEPT))


def judge(check: Check, text: str, label: str = "glad") -> str | None:
    return check(Row(text, label, "glad/0/0"))


def verdict(name: str, context: FilterContext, text: str) -> str | None:
    return judge(FILTERS[name].check(context), text)


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
        ("near_duplicate", "thank you so much for those lovely flowers that you sent to me yesterday!"),
        ("near_duplicate", "Yesterday: thank you so much for the lovely flowers that you sent to me"),
        ("rewrite", "We shall meet you at the old station after school on Friday"),
        ("language", "Hallo, kommst du heute Abend mit ins Kino?"),
        ("language", "On se retrouve devant le cinéma à neuf heures"),
        ("language", "你今天晚上来参加聚会吗"),
        ("test_leak", "see you at the OLD mill mate"),
    ],
)
def test_bad_texts_are_rejected_with_evidence(name, text, context):
    assert verdict(name, context, text)


GOOD = [
    "Are you coming to the cinema with all of us next week?",
    "sorry i can't make it tonight, help yourself to the food",
    "Sure, see you there",
    "no no no way",
    "ha ha ha that is so good",
    "urgent! you won 2000 pounds, call 0800 123 456 now",
    "here is where i am: at the gym",
    "Ok lor, i go home first then come find u",
    "ok lar",
    "see you at the gym later",
    "Hi Tom! Are you coming to the pub tonightish? I am so bored here without you, call me",
    "Thank you so much for the dinner last night, it was great",
    "I will meet your sister at school after lunch on Friday",
    "Thank you for the flowers",
    "Wat r u doin 2nite? Wanna go 4 a drink wiv us l8r?",
    "Eòrapaidh for me, merci",
    "call 0800 123 456 or 0800 123 457 or 0800 123 458",
    "a b c d e f g h i j k l m n o p q r s t",
]


@pytest.mark.parametrize("text", GOOD)
@pytest.mark.parametrize("name", sorted(FILTERS))
def test_good_texts_pass(name, text, context):
    assert verdict(name, context, text) is None


@pytest.mark.parametrize("name", sorted(set(FILTERS) - {"language"}))
def test_another_script_alone_is_no_reason(name, context):
    assert verdict(name, context, "日本語のメッセージ") is None


@pytest.mark.parametrize("name", ["duplicate", "near_duplicate"])
def test_duplicates_are_found_across_case_and_punctuation_and_labels(name, context):
    check = FILTERS[name].check(context)
    assert judge(check, "Hello, there!") is None
    context.kept.append(Row("Hello, there!", "glad", "glad/7/0", answer=1))
    assert "call glad/7/0 answer 1: 'Hello, there!'" in judge(check, "hello   THERE", "sad")
    assert judge(check, "hello where") is None


def test_near_duplicates_name_the_nearest_row_and_how_near_it_is(context):
    far = "Thank you so much for the lovely flowers that he sent to us all yesterday"
    context.kept.insert(0, Row(far, "glad", "glad/1/0"))
    text = "Thank you so much for the lovely flowers that you sent to me on Sunday"
    measured = {row.call: jaccard(shingles(text), shingles(row.text)) for row in context.kept}
    assert measured["sad/3/0"] > measured["glad/1/0"]
    assert verdict("near_duplicate", context, text).startswith(
        f"{measured['sad/3/0']:.0%} like call sad/3/0 answer 2: "
    )


@given(st.text())
@hypothesis_settings(deadline=None)
def test_a_text_is_its_own_near_duplicate_once_it_is_kept(text):
    context = FilterContext(None, (), frozenset())
    check = FILTERS["near_duplicate"].check(context)
    assert judge(check, text) is None
    context.kept.append(Row(text, "glad", "glad/0/0"))
    assert judge(check, text).startswith("100% like call glad/0/0 answer 0")


def test_hardly_any_near_duplicate_is_missed_and_none_made_up():
    rng = random.Random(0)
    words = [f"{rng.choice(WORDS)}{n}" for n in range(400)]
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(400)]
    context = FilterContext(None, (), frozenset(), [Row(text, "glad", f"glad/{n}/0") for n, text in enumerate(texts)])
    check = FILTERS["near_duplicate"].check(context)
    near = found = 0
    for n, text in enumerate(texts):
        copy = " ".join(rng.choice(words) if rng.random() < 0.08 else word for word in text.split())
        if jaccard(shingles(copy), shingles(text)) >= 0.7:
            near += 1
            found += f"call glad/{n}/0 " in (judge(check, copy) or "")
        else:
            assert judge(check, copy) is None
    assert near > 200 and found >= 0.98 * near


def common(one: list[str], other: list[str]) -> int:
    """Length of the longest common subsequence, by the textbook."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


SENTENCES = st.lists(st.sampled_from(WORDS[:5]), min_size=1, max_size=14).map(" ".join)


@given(SENTENCES, st.lists(SENTENCES, max_size=6))
@example("a b c d e f g x y z", ["a b c d e f g h i j"])  # 0.7 and no more
@example("a b c d e f g x y z q", ["a b c d e f g h i j"])  # just under
@hypothesis_settings(deadline=None)
def test_a_rewrite_is_what_rouge_l_over_the_whole_pool_says(text, pool):
    context = FilterContext(None, tuple(Example(known, "glad") for known in pool), frozenset())
    long = [known.split() for known in pool if len(known.split()) >= LONG_ENOUGH]
    scores = [2 * common(text.split(), words) / (len(text.split()) + len(words)) for words in long]
    assert [rouge_l(text.split(), words) for words in long] == pytest.approx(scores)
    found = verdict("rewrite", context, text)
    if max(scores, default=0) < Parameters().rouge_l:
        assert found is None
    else:
        assert found.startswith(f"ROUGE-L {max(scores):.2f} with pool text")


@given(SENTENCES, st.lists(SENTENCES, max_size=6))
@hypothesis_settings(deadline=None)
def test_a_pool_copy_is_what_comparing_with_the_whole_pool_says(text, pool):
    context = FilterContext(None, tuple(Example(known, "glad") for known in pool), frozenset())
    near = any(fuzz.ratio(text, known) >= 85 for known in pool)
    holds = any(f" {known} " in f" {text} " for known in pool if len(known.split()) >= 5)
    found = verdict("pool_copy", context, text)
    assert (found is not None) == (near or holds)
    assert (found or "").startswith("holds pool text") == (holds and not near)


def test_words_that_no_pool_text_has_match_nothing(context):
    context.pool = (Example("ha " * 12, "glad"),)
    assert verdict("rewrite", context, "ha " * 12)
    assert verdict("rewrite", context, "xa xb xc xd xe xf xg xh xi xj xk xl") is None


def test_a_task_may_be_in_any_language_or_in_one_of_its_own(context):
    german = "Hallo, kommst du heute Abend mit ins Kino?"
    context.task = context.task.model_copy(update={"language": None})
    assert verdict("language", context, german) is None
    context.task = context.task.model_copy(update={"language": "de"})
    assert verdict("language", context, german) is None
    assert "written in 'en', not 'de'" in verdict("language", context, "Are you coming to the cinema with us tonight?")


def test_codes_are_in_no_language(context):
    code = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4"
    assert identifier().classify(code)[0] == "zxx"
    assert verdict("language", context, code) is None


def test_a_wrong_or_unknown_language_is_said_before_any_text_is_judged(context):
    german = "Ich bin gleich zu Hause, soll ich noch Brot und Milch einkaufen"
    context.pool = tuple(Example(f"{german} {n}", "glad") for n in range(20))
    with pytest.raises(UserError, match=r"task 'mood' says language 'en', but .* 'de': set 'language'"):
        FILTERS["language"].check(context)
    context.task = context.task.model_copy(update={"language": "qq"})
    with pytest.raises(UserError, match=r"language of task 'mood': 'qq'.*Allowed: .*en"):
        FILTERS["language"].check(context)


def test_an_unknown_language_is_found_before_a_study_runs_unless_its_filter_is_off(tmp_path, task):
    odd = task.model_copy(update={"language": "qq"}).model_dump(mode="json")
    (tmp_path / "mood.yaml").write_text(yaml.safe_dump(odd))
    fields = {"name": "s", "tasks": ("./mood.yaml",), "modes": ("real",)}
    with pytest.raises(UserError, match="unknown language of task 'mood': 'qq'"):
        resolve(Study(config=StudyConfig(**fields), folder=tmp_path))
    assert resolve(Study(config=StudyConfig(**fields, filters=("duplicate",)), folder=tmp_path))


def test_the_list_of_languages_is_that_of_the_model():
    assert {label for label in identifier().labels if len(label) == 2} == LANGUAGES


def real_like(label: str, rng: random.Random, purity: float = 0.95) -> str:
    """A text whose words mostly belong to its label."""
    own, other = (WORDS[:6], WORDS[6:]) if label == "glad" else (WORDS[6:], WORDS[:6])
    return " ".join(rng.choice(own if rng.random() < purity else other) for _ in range(8))


def labelled_pool(size: int, purity: float = 0.95) -> tuple[Example, ...]:
    rng = random.Random(1)
    labels = ["glad", "sad"] * (size // 2)
    return tuple(Example(real_like(label, rng, purity), label) for label in labels)


def test_a_sure_and_proven_classifier_of_the_pool_checks_labels(context):
    context.pool = labelled_pool(120)
    check = FILTERS["label_check"].check(context)
    text = " ".join(WORDS[:6])
    assert judge(check, text, "glad") is None
    assert judge(check, text, "sad").startswith("pool classifier says glad at ")
    assert judge(check, " ".join(WORDS[3:9]), "sad") is None  # unsure


@pytest.mark.parametrize("pool", [(), labelled_pool(8), labelled_pool(30), labelled_pool(120, purity=0.5)])
def test_an_unproven_classifier_rejects_nothing(pool, context):
    context.pool = pool
    assert judge(FILTERS["label_check"].check(context), " ".join(WORDS[:6]), "sad") is None


def test_every_filter_is_named_and_all_but_the_optional_are_applied():
    assert set(FILTERS) - set(ORDER) == {"label_check"}
    assert len(set(ORDER)) == len(ORDER)
    assert all(FILTERS[name].name == name for name in FILTERS)


def test_an_unknown_filter_names_the_allowed_ones():
    with pytest.raises(UserError, match=r"unknown filter 'dupes'.*duplicate"):
        find_filters(["dupes"])


def test_an_unknown_filter_of_a_study_is_one_clear_message(tmp_path):
    config = StudyConfig(name="s", tasks=("sms_spam",), modes=("real",), filters=("near_duplicates",))
    with pytest.raises(UserError, match=r"^unknown filter 'near_duplicates'\. Did you mean 'near_duplicate'\? Al"):
        resolve(Study(config=config, folder=tmp_path))


def test_the_jobs_of_a_study_have_its_filters_and_their_rows_a_key_of_their_own(task, data, make_job):
    fields = {"name": "s", "tasks": ("mood",), "modes": ("few_shot",)}
    named = StudyConfig(**fields, filters=("over_long", "label_check"))
    assert {job.filters for job in synthesis_jobs(named, data)} == {("empty", "over_long", "label_check")}
    assert {job.filters for job in synthesis_jobs(StudyConfig(**fields), data)} == {ORDER}
    jobs = [make_job(), make_job(filters=ORDER[:3]), make_job(filters=(*ORDER, "label_check"))]
    jobs.append(replace(make_job(), task=task.model_copy(update={"language": None})))
    assert len({synthesis_key(job, data) for job in jobs}) == len(jobs)
    assert len({calls_key(job, data) for job in jobs}) == 1  # every paid call is used again


def test_a_study_sets_filters_and_their_order_and_empty_comes_first():
    assert filter_names(None) == ORDER
    assert filter_names([]) == ("empty",)
    assert filter_names(["over_long", "empty", "debris"]) == ("empty", "over_long", "debris")
    assert [item.name for item in find_filters(("over_long", "debris"))] == ["empty", "over_long", "debris"]


@pytest.mark.parametrize("order", [("debris", "over_long"), ("over_long", "debris"), ("duplicate",)])
def test_the_first_filter_in_the_order_of_the_job_gives_the_reason(order, make_job, data, settings):
    loop = "love " * 60  # both debris and over-long
    result = synthesize(make_job(rows=2, filters=order), data, settings, complete=FakeLLM(answer=lambda _: loop))
    rejected = read_rows(Store(settings.store_url), result.key)[1]
    assert {row.reason for row in rejected} == {order[0]}
    assert set(result.yields.rejected) == {order[0]}


def test_normal_form():
    assert normalise("  Héllo, WORLD_wide!! ２０ ") == "héllo world wide 20"
    assert text_hash("!!!") != text_hash("???")
