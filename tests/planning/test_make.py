"""The grid over made-up tasks: which syntheses and trials a study comes to, and what two modes share."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.config import Study, StudyConfig, load_study
from tasks.errors import UserError
from tasks.generation.synthesize import synthesize
from tasks.planning.grid import by_mode, real_jobs, summarise, synthesis_jobs, synthetic_jobs
from tasks.planning.make import make_plan, plan_study
from tasks.planning.names import resolve
from tasks.planning.unmade import expected_synthesis
from tasks.records import TaskData, by_arm
from tasks.settings import Settings
from tasks.store import Store
from tasks.training.rows import training_rows, trial_keys
from tasks.training.trial import trial_key
from tests.data.conftest import SHARED, make_data

STUDIES = sorted((Path(__file__).parents[2] / "deployments" / "studies").glob("*.yaml"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data_dir=None)


def config_of(*modes: str, **more: object) -> StudyConfig:
    fields = {
        "name": "s",
        "tasks": ("toy",),
        "modes": modes,
        "rows_per_label": 20,
        "reference_rows": 0,
        "untrained": (),
    }
    return StudyConfig.model_validate({**fields, "classifiers": ["probe/embedded/minilm-l6"], **more})


@pytest.fixture
def data() -> TaskData:
    found = make_data({"a": 50, "b": 30})
    return replace(found, pool=(*found.train[:4], *found.train[50:53]))


def made(config: StudyConfig, data: TaskData, **counts: int):
    job = next(iter(synthesis_jobs(config, data)))
    return replace(expected_synthesis(job), key="k" * 32, label_counts=counts or job.rows)


def test_modes_of_one_writer_are_one_synthesis(data: TaskData, settings: Settings) -> None:
    modes = ("real", "pool_plus_synthetic", "mix/50", "mix/90/zero_shot", "few_shot")
    config = config_of(*modes, seeds=(0, 1))
    plan = make_plan(config, (data,), settings)
    assert [job.mode for job in plan.synthesis_jobs] == ["few_shot", "zero_shot"]
    listed = plan.as_dict()["syntheses"]
    assert [row["modes"] for row in listed] == [["pool_plus_synthetic", "mix/50", "few_shot"], ["mix/90/zero_shot"]]
    alone = make_plan(config_of("real", "few_shot", "zero_shot", seeds=(0, 1)), (data,), settings)
    assert plan.as_dict()["totals"]["calls"] == alone.as_dict()["totals"]["calls"] > 0
    cells = [(cell["mode"], cell["seed"]) for cell in plan.as_dict()["cells"]]
    assert sorted(cells) == sorted((mode, seed) for mode in modes for seed in (0, 1))


def test_a_synthesis_is_recorded_for_each_of_its_modes(data: TaskData) -> None:
    config = config_of("mix/50", "real", "few_shot")
    found = by_mode(config, [made(config, data)])
    assert [item.mode for item in found] == ["mix/50", "few_shot"]
    assert len({item.key for item in found}) == 1


def test_trials_have_the_rows_that_their_modes_count(data: TaskData) -> None:
    config = config_of("real", "few_shot", "pool_only", "pool_plus_synthetic", "mix/25", seeds=(0,))
    jobs = [*real_jobs(config, data, "key"), *synthetic_jobs(config, data, "key", made(config, data))]
    assert {job.arm.mode: dict(job.label_counts) for job in jobs} == {
        "real": {"a": 20, "b": 20},
        "pool_only": {"a": 4, "b": 3},
        "few_shot": {"a": 20, "b": 20},
        "pool_plus_synthetic": {"a": 24, "b": 23},
        "mix/25": {"a": 20, "b": 20},
    }
    assert {job.arm.mode for job in jobs if job.arm.source is None} == {"real", "pool_only"}


def test_a_label_with_few_real_rows_makes_all_its_rows_fewer_and_says_so(data: TaskData, settings: Settings) -> None:
    config = config_of("real", "few_shot", "mix/50", rows_per_label=40, seeds=(0,))
    plan = make_plan(config, (data,), settings)
    assert {tuple(planned.job.label_counts.items()) for planned in plan.trials} == {(("a", 40), ("b", 30))}
    assert [job.rows for job in plan.synthesis_jobs] == [{"a": 40, "b": 30}]
    assert plan.notes == (f"toy: {summarise(config, data).note}",)
    assert "fewer than 40 real training rows of b 30" in plan.as_dict()["notes"][0]
    enough = config_of("real", "few_shot")
    assert make_plan(enough, (data,), settings).notes == () and summarise(enough, data) == data.summary


def test_without_matched_real_rows_nothing_is_cut(data: TaskData) -> None:
    config = config_of("few_shot", rows_per_label=40)
    assert made(config, data).label_counts == {"a": 40, "b": 40}
    assert summarise(config, data).note == ""


def test_a_synthesis_that_fell_short_has_real_rows_as_few(data: TaskData) -> None:
    config = config_of("real", "few_shot", "mix/50", rows_per_label=40, seeds=(0,))
    jobs = list(synthetic_jobs(config, data, "key", made(config, data, a=40, b=7)))
    assert [(job.arm.mode, dict(job.label_counts)) for job in jobs] == [
        (mode, {"a": 40, "b": 7}) for mode in ("few_shot", "mix/50", "real")
    ]


def with_imports(tmp_path: Path, *names: str, task: str = "toy", **more: object) -> StudyConfig:
    path = tmp_path / "theirs.csv"
    path.write_text("text,label\n" + "".join(f"a note about {label} and {i} others,{label}\n"
                                             for label in ("a", "b") for i in range(30)))  # fmt: skip
    imports = [{"name": name, "task": task, "file": str(path)} for name in names]
    return config_of(*more.pop("modes", ("real", "imported")), imports=imports, **more)


def test_untrained_arms_annotators_and_judges_are_cells_and_calls_of_a_plan(data, settings) -> None:
    asked = {
        "annotators": ["openai/gpt-4o-mini"],
        "judges": ["openai/gpt-4o-mini"],
        "items": 5,
        "personas": ["One.", "Two."],
    }
    config = config_of(
        "real", seeds=(0, 1), untrained=("majority", "llm_zero_shot"), untrained_rows=6, subjectivity=asked
    )
    plan = make_plan(config, (data,), settings).as_dict()
    assert plan["trials"] == {"total": 4, "stored": 0}
    calls = {row["mode"]: row["calls"] for row in plan["questions"]}
    assert calls == {"majority": 0, "llm_zero_shot": 6, "annotators": 10}  # one task alone is not compared
    assert plan["totals"]["calls"] == 16


def test_data_with_raters_needs_no_annotators(data, settings) -> None:
    rated = replace(data, test=tuple(replace(row, agreement=0.8) for row in data.test))
    config = config_of("real", subjectivity={"annotators": ["openai/gpt-4o-mini"]})
    assert make_plan(config, (rated,), settings).as_dict()["questions"] == []


def test_imports_take_the_place_of_generators_and_cost_nothing(data, settings, tmp_path) -> None:
    config = with_imports(tmp_path, "llama", "gpt", seeds=(0, 1))
    plan = make_plan(config, (data,), settings)
    assert [(job.mode, job.generator.model) for job in plan.synthesis_jobs] == [
        ("imported", "llama"),
        ("imported", "gpt"),
    ]
    totals = plan.as_dict()["totals"]
    assert (totals["calls"], totals["cost_usd"]) == (0, 0)
    assert {(cell["mode"], cell["generator"]) for cell in plan.as_dict()["cells"]} == {
        ("real", None),
        ("imported", "llama"),
        ("imported", "gpt"),
    }


@pytest.mark.parametrize(
    ("names", "more", "words"),
    [
        ((), {}, "mode 'imported' has no rows"),
        (("x",), {"modes": ("real", "few_shot")}, "mode 'imported' is not"),
        (("x",), {"task": "sms_spma"}, "'sms_spma'.*Did you mean 'sms_spam'"),
        (("x", "x"), {"task": "sms_spam"}, "two imports of task 'sms_spam' are called 'x'"),
    ],
)
def test_imports_that_do_not_fit_the_study_are_one_clear_message(names, more, words, tmp_path) -> None:
    config = with_imports(tmp_path, *names, **more).model_copy(update={"tasks": ("sms_spam",)})
    with pytest.raises(UserError, match=words):
        resolve(Study(config=config, folder=tmp_path))


def test_an_import_whose_file_is_gone_fails_the_plan(data, settings, tmp_path) -> None:
    config = with_imports(tmp_path, "llama")
    (tmp_path / "theirs.csv").unlink()
    with pytest.raises(UserError, match=r"import 'llama' of task 'toy': no such file"):
        make_plan(config, (data,), settings)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_is_one(path: Path) -> None:
    study = load_study(path)
    assert study.config.name == path.stem
    assert len(resolve(study)) == len(study.config.tasks)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_plans(path: Path, settings: Settings) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no real rows at {SHARED}")
    study = load_study(path)
    plan = plan_study(study, settings.model_copy(update={"data_dir": SHARED})).as_dict()
    assert {cell["task"] for cell in plan["cells"]} == set(study.config.tasks)
    assert set(study.config.modes) <= {cell["mode"] for cell in plan["cells"]}
    assert plan["totals"]["calls"] > 0
    assert plan["totals"]["cost_usd"] < study.config.budget_usd


def shown(config: StudyConfig, data: TaskData, settings: Settings) -> set[tuple[str, int, str | None]]:
    plan = make_plan(config, (data,), settings).as_dict()
    assert all(row["task"] == "toy" and row["leaves"] is (row["to"] is not None) for row in plan["shown"])
    return {(row["what"], row["texts"], row["to"]) for row in plan["shown"]}


def test_a_plan_says_which_real_texts_would_go_to_whom(data: TaskData, settings: Settings) -> None:
    here = {"model": "openai/mine", "api_base": "http://127.0.0.1:8000/v1"}
    there = {"model": "openai/theirs", "api_base": "https://llm.example/v1"}
    openai = "openai (api.openai.com)"
    assert shown(config_of("real"), data, settings) == set()
    zero_shot = config_of("real", "zero_shot", generators=["openai/gpt-4o-mini"])
    assert shown(zero_shot, data, settings) == {("description", 0, openai)}
    few_shot = config_of("real", "few_shot", generators=["openai/gpt-4o-mini", here, there])
    assert shown(few_shot, data, settings) == {
        (what, texts, to)
        for what, texts in (("description", 0), ("few-shot pool", 7))
        for to in (openai, None, "llm.example")
    }
    asking = config_of("real", generators=[there], untrained=("llm_zero_shot", "llm_few_shot"), untrained_rows=6)
    assert shown(asking, data, settings) == {
        ("description", 0, "llm.example"), ("test texts", 6, "llm.example"), ("few-shot pool", 6, "llm.example"),
    }  # fmt: skip
    panel = config_of("real", subjectivity={"annotators": ["openai/gpt-4o-mini"], "items": 5, "personas": ["One."]})
    assert shown(panel, data, settings) == {("description", 0, openai), ("test texts", 5, openai)}
    with_embedded = config_of("real", "few_shot", generators=["embedded/smollm2-135m-instruct"])
    assert {to for _, _, to in shown(with_embedded, data, settings)} == {None}


def test_judges_see_texts_of_all_tasks(data: TaskData, settings: Settings) -> None:
    other = replace(data, task=data.task.model_copy(update={"name": "other"}))
    config = config_of("real", subjectivity={"judges": ["openai/gpt-4o-mini"]})
    rows = make_plan(config, (data, other), settings).as_dict()["shown"]
    assert {(row["task"], row["what"], row["texts"]) for row in rows} == {
        (name, what, texts) for name in ("toy", "other") for what, texts in (("description", 0), ("few-shot pool", 7))
    }


def test_a_store_elsewhere_gets_all_real_rows(data: TaskData, settings: Settings) -> None:
    fsspec.register_implementation("elsewhere", fsspec.get_filesystem_class("memory"), clobber=True)
    remote = settings.model_copy(update={"store": "elsewhere://me:hunter2@bucket/x"})
    rows = len(data.train) + len(data.test)
    assert shown(config_of("real"), data, remote) == {("all real rows", rows, "the store (elsewhere://bucket)")}


def test_the_llms_that_are_to_be_called_are_all_that_a_run_checks_first(data: TaskData, settings: Settings) -> None:
    asked = {"annotators": ["openai/annotator"], "judges": ["openai/judge"]}
    config = config_of("real", generators=["openai/writer"], untrained=("llm_zero_shot",), subjectivity=asked)
    assert [llm.model for llm in make_plan(config, (data,), settings).asked] == ["openai/writer", "openai/annotator"]
    assert make_plan(config_of("real", generators=["openai/writer"]), (data,), settings).asked == ()


def test_two_settings_of_one_model_are_two_arms_with_names_of_their_own(data: TaskData, settings: Settings) -> None:
    """With the model's name alone, cells of both would be one: in comparisons, curves, champions and MLflow."""
    generators = ["openai/gpt-4o-mini", {"model": "openai/gpt-4o-mini", "temperature": 0.2}]
    classifiers = ["probe/embedded/minilm-l6", {"model": "probe/embedded/minilm-l6", "max_length": 64}]
    config = config_of("real", "few_shot", generators=generators, classifiers=classifiers, seeds=(0, 1))
    config = config.model_copy(update={"untrained": ("llm_zero_shot",)})
    plan = make_plan(config, (data,), settings)
    cells = plan.as_dict()["cells"]
    arms = {cell["arm"]: (cell["mode"], cell["generator"], cell["classifier"]) for cell in cells}
    sources = ("openai/gpt-4o-mini", "openai/gpt-4o-mini (temperature 0.2)")
    trained = ("probe/embedded/minilm-l6", "probe/embedded/minilm-l6 (max_length 64)")
    assert len(arms) == 8
    assert set(arms.values()) == {
        *(("real", None, classifier) for classifier in trained),
        *(("few_shot", source, classifier) for source in sources for classifier in trained),
        *(("llm_zero_shot", source, "llm") for source in sources),
    }
    jobs = [planned.job for planned in (*plan.trials, *plan.untrained)]
    assert len({job.cell for job in jobs}) == len(jobs) == len(cells)
    lost = [job.failed("no key") for job in jobs]
    assert {arm.id for arm in by_arm(lost)} == set(arms)
    assert len({item["generator"] for item in plan.as_dict()["syntheses"]}) == 2


def test_a_short_synthesis_changes_the_rows_and_not_the_arm(data: TaskData) -> None:
    config = config_of("real", "few_shot", rows_per_label=40, seeds=(0,))
    whole, short = made(config, data), made(config, data, a=40, b=7)
    (job, *_), (fewer, smaller) = (list(synthetic_jobs(config, data, "key", item)) for item in (whole, short))
    assert job.arm == fewer.arm and job.arm.size == 40 and dict(job.arm.rows) == {"a": 40, "b": 30}
    assert (smaller.arm.mode, smaller.arm.size, dict(smaller.arm.rows)) == ("real", None, {"a": 40, "b": 7})


def test_a_mode_has_one_name_however_a_study_spells_it(data: TaskData, settings: Settings) -> None:
    config = config_of("real", "few_shot/examples:3", seeds=(0,))  # 3 is the default
    plan = make_plan(config, (data,), settings)
    [synthesis] = by_mode(config, [made(config, data)])
    assert {planned.job.arm.mode for planned in plan.trials} == {"real", synthesis.mode} == {"real", "few_shot"}


class Counted(MemoryFileSystem):
    """A store in memory that counts what is read."""

    protocol = "counted"
    store: ClassVar[dict[str, object]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    reads: ClassVar[Counter[str]] = Counter()

    def cat_file(self, path, start=None, end=None, **kwargs):
        self.reads[self._strip_protocol(path)] += 1
        return super().cat_file(path, start, end, **kwargs)

    def open(self, path, mode="rb", **kwargs):
        self.reads[self._strip_protocol(path)] += mode == "rb"
        return super().open(path, mode, **kwargs)


def test_rows_are_read_as_often_for_many_seeds_as_for_one(data: TaskData, settings: Settings, tmp_path: Path) -> None:
    fsspec.register_implementation("counted", Counted, clobber=True)
    here = settings.model_copy(update={"store": f"counted://{tmp_path.name}"})

    def reads(seeds: int) -> list[int]:
        classifiers = [{"model": "probe/embedded/minilm-l6", "max_length": 64 + i} for i in range(seeds)]
        more = {"seeds": tuple(range(seeds)), "classifiers": classifiers, "filters": ("duplicate",)}
        config = with_imports(tmp_path, "llama", "gpt", **more)
        for job in synthesis_jobs(config, data):
            synthesize(job, data, here, report=lambda step: None)
        Counted.reads.clear()
        plan = make_plan(config, (data,), here)
        assert all(planned.stored for planned in plan.syntheses) and len(plan.trials) == 3 * seeds**2
        return [n for path, n in Counted.reads.items() if path.endswith("rows.jsonl")]

    once, often = reads(1), reads(5)
    assert len(once) == 2 and max(once) <= 2  # looked through when it is found, and trained on
    assert sorted(often) <= sorted(once)


def test_keys_of_many_cells_are_those_of_each_alone(data: TaskData, settings: Settings, tmp_path: Path) -> None:
    store = Store(settings.store_url)
    classifiers = [{"model": "probe/embedded/minilm-l6", "max_length": 64 + i} for i in range(2)]
    more = {"seeds": (0, 1, 2), "classifiers": classifiers, "filters": ("duplicate",), "synthesis_per": "seed"}
    config = with_imports(tmp_path, "llama", **more)
    jobs = list(real_jobs(config, data, data.key))
    for job in synthesis_jobs(config, data):
        jobs += synthetic_jobs(config, data, data.key, synthesize(job, data, settings, report=lambda step: None))
    unmade = [replace(job, synthesis_key=None) for job in jobs if job.arm.source]
    keys = dict(trial_keys([*jobs, *unmade], data, store))
    for place, job in enumerate(jobs):
        assert keys[place] == trial_key(job, training_rows(job, data, store), data.test)
    assert len({keys[place] for place in range(len(jobs))}) == len(jobs)
    assert [keys[place] for place in range(len(jobs), len(jobs) + len(unmade))] == [None] * len(unmade)


def test_what_is_stored_costs_nothing(data: TaskData, settings: Settings, tmp_path: Path) -> None:
    config = with_imports(tmp_path, "llama", seeds=(0,), filters=("duplicate",))
    store = Store(settings.store_url)
    before = make_plan(config, (data,), settings)
    assert [planned.stored for planned in before.trials] == [False, False]
    key = dict(trial_keys(list(before.real_jobs), data, store))[0]
    assert key
    store.put("trials", key, {})
    assert [planned.stored for planned in make_plan(config, (data,), settings).trials] == [True, False]
