"""results.json: its shape, that it is JSON, and that unknown stays unknown."""

import dataclasses
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.config import ImportConfig
from tasks.reporting.results import read_results, to_json
from tasks.results_file import SCHEMA
from tests.reporting.conftest import build

Make = Callable[..., Any]


def test_what_is_written_is_what_is_read(paper_results: Make, tmp_path: Path) -> None:
    found = paper_results(tasks=3, generators=("a/b", "c/d"), fail=True)
    path = tmp_path / "results.json"
    path.write_text(to_json(found), encoding="utf-8")
    assert read_results(path) == found
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert (plain["schema"], plain["study"], plain["status"]) == (SCHEMA, "quickstart", "failed")


def test_cells_and_comparisons_are_tables(paper_results: Make) -> None:
    found = paper_results(tasks=2, fail=True)
    cells, arms = found.cells_frame(), found.comparisons_frame()
    assert len(cells) == len(found.cells) and len(arms) == len(found.comparisons)
    assert cells.groupby("status").size().to_dict() == {"ok": len(cells) - 6, "failed": 6}
    first = next(row for row in found.comparisons if row.gap)
    row = arms.iloc[found.comparisons.index(first)]
    assert (row["mode"], row.gap_mean, row.macro_f1_low) == (first.mode, first.gap.mean, first.macro_f1.low)
    assert {"gap", "macro_f1"}.isdisjoint(arms.columns)
    assert arms.gap_mean.isna().sum() == sum(row.gap is None for row in found.comparisons)


def test_a_kept_row_has_its_price_unless_that_is_unknown(study: Make) -> None:
    parts = study()
    first, second, third, *_ = parts["syntheses"]
    kept = dataclasses.replace(first.yields, kept=40)
    parts["syntheses"] = [
        dataclasses.replace(first, cost_usd=0.02, yields=kept),
        dataclasses.replace(second, cost_usd=None),
        dataclasses.replace(third, cost_usd=0.02, yields=dataclasses.replace(kept, kept=0)),
    ]
    prices = {(row.task, row.mode): row.cost_per_kept_usd for row in build(**parts).syntheses}
    assert prices == {
        (first.task, first.mode): 0.0005,
        (second.task, second.mode): None,
        (third.task, third.mode): None,
    }


def test_is_json_even_with_nan(study: Make) -> None:
    parts = study()
    parts["trials"][0] = dataclasses.replace(parts["trials"][0], macro_f1=math.nan, accuracy=math.inf)
    found = json.loads(to_json(build(**parts)))
    assert found["cells"][0]["macro_f1"] is None
    assert found["cells"][0]["accuracy"] is None


def test_same_study_same_bytes_whatever_the_order_of_arrival(paper_study: Make) -> None:
    parts = paper_study(tasks=4, generators=("a/b", "c/d"))
    expected = to_json(build(**parts))
    for part in ("trials", "syntheses", "comparisons", "subjectivity", "curves"):
        random.Random(3).shuffle(parts[part])
    assert to_json(build(**parts)) == expected


def test_cells_come_in_the_order_of_the_study(study: Make) -> None:
    parts = study(tasks=3, modes=("real", "few_shot", "zero_shot"))
    cells = build(**parts).cells
    assert list(dict.fromkeys(cell.task for cell in cells)) == list(parts["config"].tasks)
    modes = list(dict.fromkeys(cell.mode for cell in cells))
    assert modes == ["real", "few_shot", "zero_shot", "real_full"]


def test_rows_of_comparison_come_last(paper_results: Make) -> None:
    modes = list(dict.fromkeys(row.mode for row in paper_results(tasks=1).comparisons))
    assert modes[-4:] == ["real_full", "majority", "llm_zero_shot", "llm_few_shot"]


def test_a_failed_part_fails_the_study(results: Make) -> None:
    assert results().status == "ok"
    broken = results(fail=True)
    assert broken.status == "failed" and len(broken.errors) == 4 and all(broken.errors)
    assert broken.totals.cells_failed == 3


def test_one_unknown_price_makes_the_total_unknown(results: Make, study: Make) -> None:
    assert results().totals.cost_usd > 0
    parts = study()
    parts["syntheses"][0] = dataclasses.replace(parts["syntheses"][0], cost_usd=None)
    assert build(**parts).totals.cost_usd is None


def test_a_synthesis_of_several_modes_counts_once(results: Make, study: Make) -> None:
    parts = study(tasks=1)
    once = build(**parts).totals
    few = next(item for item in parts["syntheses"] if item.mode == "few_shot")
    parts["syntheses"].append(dataclasses.replace(few, mode="pool_plus_synthetic"))
    assert few.calls and build(**parts).totals == once
    failed = dataclasses.replace(few, key="", status="failed", calls=0, cost_usd=None)
    parts["syntheses"] += [failed, dataclasses.replace(failed, mode="mix/50")]
    assert build(**parts).totals.calls == once.calls


def test_no_trials_at_all_is_no_success(study: Make) -> None:
    parts = study()
    parts |= {"trials": [], "comparisons": [], "syntheses": [], "tasks": [], "estimate": None}
    found = build(**parts)
    assert found.status == "failed"
    assert found.totals.cost_usd == 0


def test_versions_name_what_shapes_a_result(results: Make) -> None:
    assert {"python", "synthgap", "torch", "transformers", "litellm", "price map"} <= set(results().versions)


def test_a_config_with_all_defaults_filled_in_is_read(study: Make, tmp_path: Path) -> None:
    parts = study(tasks=1)
    theirs = ImportConfig(name="theirs", task="sms_spam", file="theirs.csv")
    parts["config"] = parts["config"].model_copy(update={"imports": (theirs,)})
    path = tmp_path / "results.json"
    path.write_text(to_json(build(**parts)), encoding="utf-8")
    assert read_results(path).config == parts["config"]
