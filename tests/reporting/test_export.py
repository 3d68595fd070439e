"""Exported data sets are read back as others would read them."""

from dataclasses import replace

import pytest
import yaml
from pyarrow import parquet

from tasks.errors import RunError, UserError
from tasks.generation.synthesize import synthesize
from tasks.phrases import signed_points
from tasks.reporting.export import CARD, KEPT, REJECTED, export
from tests.generation.conftest import FakeLLM, data, make_job, settings, task  # noqa: F401
from tests.reporting.conftest import build, make_study


@pytest.fixture
def results(make_job, data, settings):  # noqa: F811
    """A study whose few-shot set on SMS is a real synthesis in the store."""
    study = make_study(tasks=1)
    made = synthesize(make_job(rows=4), data, settings, complete=FakeLLM())
    few = next(item for item in study["syntheses"] if item.mode == "few_shot")
    own = replace(made, task=few.task, mode=few.mode, source=few.source)
    return build(**{**study, "syntheses": [own]})


def changed(results, **fields):
    """The same with its one synthesis changed."""
    return results.model_copy(update={"syntheses": (replace(results.syntheses[0], **fields),)})


def test_rows_and_card_are_written(results, settings, tmp_path):  # noqa: F811
    (folder,) = export(results, settings, tmp_path / "out")
    kept = parquet.read_table(folder / KEPT).to_pylist()
    assert len(kept) == 8 and {row["label"] for row in kept} == {"glad", "sad"}
    assert all(row["prompt_hash"] and row["call"] for row in kept)
    assert parquet.read_table(folder / REJECTED).num_rows == len(
        [1 for count in results.syntheses[0].yields.rejected.values() for _ in range(count)]
    )
    text = (folder / CARD).read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert [config["config_name"] for config in head["configs"]] == ["default", "rejected"]
    gap = next(item for item in results.comparisons if item.mode == "few_shot").gap
    assert f"{signed_points(gap.mean)} points against as many real rows" in text


def test_rows_that_several_modes_train_on_are_written_once(results, settings, tmp_path):  # noqa: F811
    [few] = results.syntheses
    both = (few, replace(few, mode="mix/50"))
    compared = next(item for item in results.comparisons if item.mode == "few_shot")
    rows = (*results.comparisons, replace(compared, arm=replace(compared.arm, mode="mix/50")))
    found = results.model_copy(update={"syntheses": both, "comparisons": rows})
    (folder,) = export(found, settings, tmp_path / "out")
    text = (folder / CARD).read_text()
    assert "- few_shot, " in text and "- mix/50, " in text


def test_a_mode_with_a_slash_is_one_folder(results, settings, tmp_path):  # noqa: F811
    (folder,) = export(changed(results, mode="mix/50/zero_shot"), settings, tmp_path / "out")
    assert folder.parent == tmp_path / "out" and "mix_50_zero_shot" in folder.name


def test_a_set_that_is_gone_is_one_clear_message(results, settings, tmp_path):  # noqa: F811
    with pytest.raises(RunError, match=r"cannot trace the rows of .*: there is no syntheses/0{32}"):
        export(changed(results, key="0" * 32), settings, tmp_path)


def test_a_study_of_real_rows_has_nothing_to_export(results, settings, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match="no generated data set"):
        export(results.model_copy(update={"syntheses": ()}), settings, tmp_path)
