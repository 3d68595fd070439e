"""What is one arm and what are two, and what people read of it."""

from dataclasses import replace

import pytest

from tasks.config import ClassifierConfig, GeneratorConfig, ImportConfig
from tasks.records import Trial, by_arm, configured, short
from tests.arms import COUNTS, make_arm


def labels(*configs: GeneratorConfig | ClassifierConfig) -> list[str]:
    return [configured(config, configs).label for config in configs]


def test_a_label_says_the_settings_only_where_they_tell_two_apart() -> None:
    plain, warm = GeneratorConfig(model="a/x"), GeneratorConfig(model="a/x", temperature=1.5)
    narrow = GeneratorConfig(model="a/x", temperature=1.5, params={"top_p": 0.5})
    assert labels(warm, GeneratorConfig(model="a/y")) == ["a/x", "a/y"]
    assert labels(plain, warm) == ["a/x", "a/x (temperature 1.5)"]
    assert labels(plain, warm, narrow) == ["a/x", "a/x (temperature 1.5)", "a/x (top_p 0.5, temperature 1.5)"]
    long = ClassifierConfig(model="c", epochs=9, batch_size=8)
    assert labels(ClassifierConfig(model="c", batch_size=8), long) == ["c", "c (epochs 9)"]
    assert short("probe/a/x (api_base http://h/v1)") == "probe x (api_base http://h/v1)"


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"temperature": 0.5}, False),
        ({"params": {"top_p": 0.5}}, False),
        ({"api_base": "http://127.0.0.1:1/v1"}, False),
        ({"timeout": 9, "concurrency": 2, "price": {"input": 1, "output": 1}, "api_key_env": "SYNTHGAP_KEY_X"}, True),
    ],
)
def test_what_shapes_no_row_makes_no_other_arm(changes: dict[str, object], same: bool) -> None:
    one, other = GeneratorConfig(model="x"), GeneratorConfig.model_validate({"model": "x", **changes})
    assert (configured(one).key == configured(other).key) is same


def test_a_server_that_moved_and_a_file_that_moved_are_what_they_were() -> None:
    here, there = (
        GeneratorConfig(model="x", api_base=f"http://127.0.0.1:{port}/v1", endpoint="mine") for port in (1, 2)
    )
    assert configured(here) == configured(there)
    before, after = (ImportConfig(name="crowd", task="t", file=f"{folder}/rows.csv") for folder in "ab")
    assert configured(before) == configured(after)


def test_each_part_of_an_arm_is_part_of_its_id() -> None:
    arm = make_arm()
    others = [make_arm(task="u"), make_arm(mode="real"), make_arm(source=None), make_arm(classifier="d")]
    others += [make_arm(rows={"a": 50, "b": 49}), make_arm(size=100)]
    assert len({arm.id, *(other.id for other in others)}) == 7
    assert make_arm(rows={"b": 50, "a": 50}).id == arm.id


def test_trials_are_grouped_by_arm_and_ordered_by_seed() -> None:
    first, second = make_arm(), make_arm(classifier="d")
    cells = [(first, 2), (second, 0), (first, 0), (first, 2)]
    made = [Trial(str(i), arm, seed, "ok", 100, 9, COUNTS) for i, (arm, seed) in enumerate(cells)]
    groups = by_arm(made)
    assert list(groups) == [first, second]
    assert [trial.key for trial in groups[first]] == ["2", "0"]  # of two trials of one cell the first counts


def test_arms_of_several_tasks_are_one_across_them() -> None:
    arm = make_arm("t", rows={"a": 50, "b": 50})
    assert replace(arm, task="u", rows=(("x", 50), ("y", 9))).across_tasks == arm.across_tasks
    assert replace(arm, size=100).across_tasks != arm.across_tasks
