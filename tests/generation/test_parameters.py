"""Parameters of filters and modes: how a study gives them, what keys and results hold of them, what they change."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config import FileSource, GeneratorConfig, StudyConfig, TaskConfig, parse
from tasks.config.parameters import spell, split
from tasks.errors import UserError
from tasks.generation.filter import FilterContext
from tasks.generation.filters import FILTERS, ORDER, filter_names, find_filters
from tasks.generation.filters.near_duplicate import bands_and_rows, shingles, similarity
from tasks.generation.keys import calls_key, request, synthesis_key
from tasks.generation.mode import PromptInputs
from tasks.generation.modes import MODES, find_mode, find_modes
from tasks.modes import mode_facts
from tasks.planning.grid import modes_of, synthesis_jobs
from tasks.records import Example, Row, SynthesisJob, TaskData
from tests.generation.conftest import WORDS

SYNTHESIS_KEYS = {"few_shot": "cf324df30d960d4393f68d4dca797286", "zero_shot": "97a99794814663b8656f6a347e1cc261"}
"""Of jobs without parameters, as the first release made them: users have data sets under them."""
PARAMETERS = [
    (kind, name, parameter)
    for kind, table in (("filters", FILTERS), ("modes", MODES))
    for name, unit in table.items()
    for parameter in type(unit.parameters).model_fields
]
"""Every parameter that there is."""


def study(**fields: object) -> StudyConfig:
    return parse(StudyConfig, {"name": "s", "tasks": ["mood"], "modes": ["few_shot"], **fields}, "study")


@pytest.fixture(scope="module")
def make_job_once():
    """Jobs for many examples of one test, and their rows."""
    task = TaskConfig(
        name="mood",
        title="Mood",
        text="a note",
        context="Notes.",
        labels={"glad": "a happy note", "sad": "a sad note"},
        sources=(FileSource(train="train.csv"),),
    )
    pool = tuple(Example(f"{label} {word}", label) for label in task.labels for word in WORDS[:3])

    def make(filters: tuple[str, ...]) -> SynthesisJob:
        return SynthesisJob(task, "few_shot", GeneratorConfig(model="fake/llm"), 0, 5, 2.0, filters)

    return make, TaskData(task, train=pool, pool=pool, test=(), source="fixture")


def test_a_study_gives_parameters_as_a_mapping_or_in_the_spelling_of_results():
    given = study(
        filters=["duplicate", {"near_duplicate": {"jaccard": 0.8}}],
        modes=["real", {"few_shot": {"examples": 8}}, "mix/50/few_shot/examples:8"],
    )
    assert given.filters == ("duplicate", "near_duplicate/jaccard:0.8")
    assert given.modes == ("real", "few_shot/examples:8", "mix/50/few_shot/examples:8")
    assert parse(StudyConfig, given.model_dump(mode="json"), "study") == given


def test_a_form_of_a_study_asks_for_text():
    fields = StudyConfig.model_json_schema()["properties"]
    assert fields["modes"]["items"] == {"type": "string"}


words = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)


@given(words, st.dictionaries(words, st.integers(0, 99).map(str)))
def test_a_spelling_is_read_as_it_was_written(name, parameters):
    assert split(spell(name, parameters)) == (name, parameters)


@pytest.mark.parametrize(
    "value",
    [{}, {"near_duplicate": None}, {"near_duplicate": {}}, {"a": {"b": 1}, "c": {"d": 2}}, {"near_duplicate": 0.8}],
)
def test_a_mapping_of_another_form_says_how_parameters_are_written(value):
    with pytest.raises(UserError, match=r"filters\.0.*\{near_duplicate: \{jaccard: 0\.8\}\}"):
        study(filters=[value])


@pytest.mark.parametrize("value", [None, True, [0.8], "0.8/x:1", ""])
def test_a_value_that_is_no_number_or_word_is_refused(value):
    with pytest.raises(UserError, match=r"near_duplicate: parameter 'jaccard' must be a number or a word"):
        study(filters=[{"near_duplicate": {"jaccard": value}}])


@pytest.mark.parametrize(
    ("spelling", "said"),
    [
        (
            "near_duplicate/jacard:0.8",
            "^unknown parameter of filter 'near_duplicate': 'jacard'.*'jaccard'. Allowed: jac",
        ),
        ("near_duplicate/jaccard:1.5", "^filter 'near_duplicate': field 'jaccard': .*less than or equal to 1"),
        ("near_duplicate/jaccard:nan", "^filter 'near_duplicate': field 'jaccard': .*less than or equal to 1"),
        ("rewrite/rouge_l:much", "^filter 'rewrite': field 'rouge_l': .*valid number"),
        ("duplicate/words:3", "^filter 'duplicate' has no parameters, but 'words' is given"),
    ],
)
def test_a_wrong_parameter_of_a_filter_is_one_clear_line(spelling, said):
    with pytest.raises(UserError, match=said) as error:
        find_filters([spelling])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spelling", "said"),
    [
        ("few_shot/example:8", "^unknown parameter of mode 'few_shot': 'example'.*'examples'. Allowed: examples"),
        ("few_shot/examples:0", "^mode 'few_shot': field 'examples': .*greater than or equal to 1"),
        ("mix/50/few_shot/examples:0", "^mode 'few_shot': field 'examples': "),
        ("real/examples:8", "^mode 'real' has no parameters, but 'examples' is given"),
    ],
)
def test_a_wrong_parameter_of_a_mode_is_one_clear_line(spelling, said):
    with pytest.raises(UserError, match=said) as error:
        find_mode(spelling)
    assert "\n" not in str(error.value)


def test_a_filter_or_mode_is_not_listed_in_two_spellings():
    with pytest.raises(UserError, match=r"filter 'near_duplicate' is listed twice, .*'near_duplicate/jaccard:0\.8'"):
        find_filters(["near_duplicate", "near_duplicate/jaccard:0.8"])
    with pytest.raises(UserError, match="modes 'few_shot' and 'few_shot/examples:3' are the same"):
        find_modes(["few_shot", "real", "few_shot/examples:3"])
    assert [mode.name for mode in find_modes(["few_shot/examples:4", "few_shot"])] == [
        "few_shot/examples:4",
        "few_shot",
    ]


@pytest.mark.parametrize(("kind", "name", "parameter"), PARAMETERS)
def test_a_default_that_is_written_out_changes_no_key(kind, name, parameter, make_job, data):
    unit = (FILTERS if kind == "filters" else MODES)[name]
    spelling = spell(name, {parameter: getattr(unit.parameters, parameter)})
    if kind == "modes":
        assert find_mode(spelling).template.name == name
        assert synthesis_key(make_job(spelling), data) == synthesis_key(make_job(name), data)
    else:
        given = tuple(spelling if item == name else item for item in ORDER)
        assert filter_names(given) == ORDER
        assert synthesis_key(make_job(filters=given), data) == synthesis_key(make_job(), data)


@pytest.mark.parametrize("mode", SYNTHESIS_KEYS)
def test_keys_of_what_users_have_stay(mode, make_job, data):
    assert synthesis_key(make_job(mode), data) == SYNTHESIS_KEYS[mode]


@given(jaccard=st.floats(0.3, 1))
def test_another_threshold_is_another_data_set_of_the_same_calls(make_job_once, jaccard):
    job, data = make_job_once
    names = filter_names([f"near_duplicate/jaccard:{jaccard}"])
    assert (names[1] == "near_duplicate") == (jaccard == 0.7)
    changed = job(filters=names)
    plain = job(filters=("empty", "near_duplicate"))
    assert calls_key(changed, data) == calls_key(plain, data)
    assert (synthesis_key(changed, data) == synthesis_key(plain, data)) == (jaccard == 0.7)


def test_the_number_of_examples_makes_another_data_set_with_more_texts_in_each_prompt(make_job, data):
    eight = make_job("few_shot/examples:6")
    assert calls_key(eight, data) != calls_key(make_job(), data)
    for mode, shown in (("few_shot", 3), ("few_shot/examples:6", 6), ("few_shot/examples:50", 6)):
        messages = request(make_job(mode), data, "glad", 0).messages
        assert sum(message["role"] == "assistant" for message in messages) == shown
    assert mode_facts("few_shot/examples:6").title == "few-shot, 6 examples"
    assert mode_facts("mix/50/few_shot/examples:6").title == "50% synthetic, few-shot, 6 examples"


def test_modes_of_two_settings_have_a_synthesis_each_and_a_mix_shares_that_of_its_setting(data):
    config = study(modes=["few_shot", "few_shot/examples:6", "mix/50/few_shot/examples:6"])
    jobs = [job.mode for job in synthesis_jobs(config, data)]
    assert jobs == ["few_shot", "few_shot/examples:6"]
    assert modes_of(config, "few_shot/examples:6") == ["few_shot/examples:6", "mix/50/few_shot/examples:6"]
    assert modes_of(study(modes=["few_shot/examples:3"]), "few_shot") == ["few_shot"]  # the default, written out


def test_the_threshold_decides_what_is_nearly_the_same(task):
    first = "Thank you so much for the lovely flowers that you sent to me yesterday"
    text = first.replace("lovely", "pretty").replace("yesterday", "today")
    alike = similarity(shingles(first), shingles(text))
    for jaccard in (round(alike - 0.05, 2), round(alike + 0.05, 2)):
        [_, item] = find_filters([f"near_duplicate/jaccard:{jaccard}"])
        check = item.check(FilterContext(task, (), frozenset(), [Row(first, "glad", "glad/0/0")]))
        assert (check(Row(text, "glad", "glad/1/0")) is not None) == (jaccard < alike)


def test_the_threshold_decides_what_is_a_rewrite(task):
    pool = (Example("I will meet you at the old station after work on Friday", "glad"),)
    text = "I will see him at the old harbour before work on Friday"  # 8 of 12 words in order
    for rouge_l, rejected in ((0.6, True), (0.7, False)):
        [_, item] = find_filters([f"rewrite/rouge_l:{rouge_l}"])
        assert (
            item.check(FilterContext(task, pool, frozenset()))(Row(text, "glad", "glad/0/0")) is not None
        ) == rejected


@pytest.mark.parametrize("jaccard", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_pairs_at_the_threshold_are_found(jaccard):
    bands, rows = bands_and_rows(jaccard)
    assert 1 - (1 - jaccard**rows) ** bands >= 0.98 and bands * rows <= 125
    assert (bands, rows) == (25, 5) or jaccard < 0.7


def test_a_prompt_with_a_parameter_draws_its_examples_anew_for_every_call(task):
    pool = tuple(Example(f"text {i}", "glad") for i in range(50))
    template = find_mode("few_shot/examples:8").template
    drawn = {str(template.messages(PromptInputs(task, "glad", pool, random.Random(i)))) for i in range(20)}
    assert len(drawn) == 20
