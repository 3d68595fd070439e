"""What results are told of every mode and untrained arm: facts that hold for what the mode does."""

import re
from pathlib import Path

import pytest

from tasks.data import catalog
from tasks.errors import UserError
from tasks.generation.modes import MODES, find_mode, find_modes
from tasks.labelling.untrained import UNTRAINED
from tasks.modes import MATCHED_REAL, NAMES, REFERENCE, mode_facts, own_name
from tasks.records import Example, TaskData, count_labels
from tasks.reporting.modes import looks

TRAINED = (*MODES, "mix/40", "mix/75/zero_shot")
"""Every mode that trains on rows, and some of each family."""
GENERATED = ("generated", "imported")


@pytest.fixture(scope="module")
def data() -> TaskData:
    task = catalog.find_task("sms_spam", Path("/"))
    train = tuple(Example(f"{label} {i}", label) for label in task.labels for i in range(60))
    return TaskData(task, train=train, pool=(*train[:4], *train[60:64]), test=(), source="made up")


def test_every_arm_is_in_the_table():
    assert set(NAMES) == set(MODES) | set(UNTRAINED) and len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", [*NAMES, *TRAINED])
def test_titles_are_for_people_and_tell_arms_apart(name):
    title = mode_facts(name).title
    assert title and "_" not in title and "/" not in title
    assert title not in {mode_facts(other).title for other in {*NAMES, *TRAINED} - {name}}


@pytest.mark.parametrize("name", TRAINED)
def test_a_mode_trains_on_the_kinds_of_rows_that_it_says(name, data):
    mode = find_mode(name)
    made = tuple(Example(f"made {label} {i}", label) for label in data.task.labels for i in range(30))
    wanted = mode.count(data, dict.fromkeys(data.task.labels, 30))
    rows = mode.select(data, made, wanted, 0)
    real = set(data.train) - set(data.pool)
    kinds = {
        "real": any(row in real for row in rows),
        "pool": any(row in data.pool for row in rows),
        "generated": any(row in made for row in rows),
    }
    facts = mode_facts(name)
    assert kinds["generated"] == facts.synthetic == (facts.source is not None)
    assert kinds["real"] == ("real" in facts.rows)
    assert kinds["pool"] or "pool" not in facts.rows
    assert facts.all_synthetic == (not kinds["real"] and not kinds["pool"])
    assert not facts.untrained


@pytest.mark.parametrize("name", TRAINED)
def test_modes_of_another_size_are_not_compared_at_their_own(name, data):
    counts = dict.fromkeys(data.task.labels, 30)
    same_size = find_mode(name).count(data, counts) == counts
    assert same_size == (mode_facts(name).compared_to != "the study's real rows")


@pytest.mark.parametrize("name", TRAINED)
def test_real_arms_are_compared_to_nothing(name):
    facts = mode_facts(name)
    assert (facts.compared_to == "nothing") == (facts.rows == {"real"}) == (name in (MATCHED_REAL, REFERENCE))


def test_the_matched_real_arm_has_the_counts_of_the_others_and_the_reference_has_natural_shares(data):
    uneven = TaskData(data.task, train=data.train[:80], pool=(), test=(), source="made up")
    counts = dict.fromkeys(data.task.labels, 10)
    assert count_labels(find_mode(MATCHED_REAL).select(uneven, (), counts, 0), data.task.labels) == counts
    first, second = count_labels(find_mode(REFERENCE).select(uneven, (), counts, 0), data.task.labels).values()
    assert (first, second) == (15, 5)


@pytest.mark.parametrize("name", UNTRAINED)
def test_untrained_arms_have_no_rows_and_are_compared_at_the_size_of_the_study(name):
    facts = mode_facts(name)
    assert facts.untrained and not facts.synthetic and not facts.all_synthetic
    assert facts.compared_to == "the study's real rows" and facts.source is None


@pytest.mark.parametrize("name", TRAINED)
def test_a_mix_says_its_share_and_others_say_none(name, data):
    share = re.match(r"mix/(\d+)", name)
    assert mode_facts(name).percent_generated == (int(share[1]) if share else None)


def test_a_mode_that_this_version_lacks_has_a_title_and_generated_rows():
    facts = mode_facts("back_translation")
    assert facts.title == "back-translation" and facts.all_synthetic and not facts.untrained


def test_a_default_that_is_written_out_is_left_out_of_the_name():
    assert own_name("few_shot/examples:3") == "few_shot"
    assert own_name("mix/50/few_shot/examples:03") == "mix/50/few_shot"
    assert own_name("mix/50/few_shot/examples:8") == "mix/50/few_shot/examples:8"
    assert own_name("of_another_version") == "of_another_version"
    with pytest.raises(UserError, match="are the same"):
        find_modes(["mix/50/few_shot/examples:3", "mix/50/few_shot"])


def test_mixes_look_like_what_is_mixed_in_and_two_settings_do_not():
    modes = ["mix/50/few_shot/examples:8", "mix/50/few_shot/examples:16", "few_shot/examples:16"]
    found = looks(modes)
    assert found[modes[1]] == found[modes[2]] != found[modes[0]]
