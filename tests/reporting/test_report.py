"""The report page: it answers first, hides no failure, trusts no text, and asks the network for nothing."""

import dataclasses
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tasks.config import ImportConfig
from tasks.records import Finding, Interval, Row, Synthesis, configured, short
from tasks.reporting.report import render
from tasks.reporting.results import Results
from tests.reporting.conftest import build

Make = Callable[..., Any]
CHROMIUM = "/usr/bin/chromium"
WIDE = {
    "tasks": 10,
    "modes": ("real", "zero_shot", "few_shot", "pool_only", "mixed"),
    "generators": ("embedded/a", "openai/b", "c/d"),
}


ALL_SECTIONS = [
    "Subjectivity of the tasks",
    "Accuracy over agreement",
    "Real and generated rows together",
    "The paper’s findings on your tasks",
]


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def page(results: Results, rows: dict[str, Any] | None = None) -> str:
    return render(results, rows or {})


def test_the_answer_comes_first(results: Make) -> None:
    text = page(results())
    answer = text.index("few-shot: loses 13 points (11 to 15): buy labels.")
    assert answer < text.index("<table") and answer < text.index("<svg")
    assert "No, for both tasks." in text
    assert text.index("The texts were written by smollm2-135m-instruct; the classifier is minilm-l6.") < text.index(
        "<table"
    )


def test_no_text_of_an_llm_becomes_markup(study: Make, samples: Make) -> None:
    parts = study()
    hostile = "<script>alert(1)</script>"
    parts["tasks"][0] = dataclasses.replace(parts["tasks"][0], title=hostile, source=hostile, labels=(hostile, "b"))
    parts["comparisons"] = [dataclasses.replace(c, verdict=hostile) for c in parts["comparisons"]]
    parts["syntheses"][0] = dataclasses.replace(parts["syntheses"][0], status="failed", error=hostile)
    text = page(build(**parts), samples(parts))
    tags = _Page(text).tags
    assert hostile not in text
    assert not {"script", "img", "iframe", "object", "embed"} & {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "&lt;script&gt;alert(&#39;kept&#39;)" in text


def test_sample_rows_show_every_reason(study: Make) -> None:
    parts = study()
    key = parts["syntheses"][0].key
    rejected = [Row(f"text {n}", "ham", "c", "duplicate") for n in range(50)] + [Row("odd", "ham", "c", "too_long")]
    text = page(build(**parts), {key: ((), tuple(rejected))})
    assert "odd" in text and "text 0" in text and "text 20" not in text


def test_nothing_is_loaded_from_elsewhere(results: Make) -> None:
    text = page(results())
    assert "default-src 'none'" in text
    loaded = [
        v for _, attributes in _Page(text).tags for n, v in attributes.items() if n in {"src", "href", "xlink:href"}
    ]
    assert all(value == "data:," or str(value).startswith("#") for value in loaded)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)


def test_figures_are_labelled_and_share_no_ids(results: Make) -> None:
    tags = _Page(page(results(tasks=4))).tags
    figures = [attributes for tag, attributes in tags if tag == "svg"]
    assert len(figures) == 1 + 2 * 4 + 2
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_failure_is_shown_as_one(results: Make) -> None:
    text = page(results(fail=True))
    assert text.index("What is missing") < text.index("<h2>Scores")
    assert "openai/gpt-4o-mini answered as" in text
    assert "its synthesis failed" in text
    assert "nan" not in text.lower().split("finance")[0].split()


def test_all_cells_failed(study: Make) -> None:
    parts = study()
    parts["trials"] = [dataclasses.replace(t, status="failed", macro_f1=None, error="no disk") for t in parts["trials"]]
    parts["comparisons"] = [
        dataclasses.replace(c, macro_f1=None, accuracy=None, gap=None, good_enough="none") for c in parts["comparisons"]
    ]
    text = page(build(**parts))
    assert "No result, for both tasks." in text and "no disk" in text


def test_a_study_of_nothing_but_failed_loads(study: Make) -> None:
    parts = study() | {"trials": [], "comparisons": [], "syntheses": [], "tasks": [], "estimate": None}
    text = page(build(**parts))
    assert "No task could be loaded." in text and "headline_sarcasm" in text


def test_a_real_only_study_has_a_report(results: Make) -> None:
    text = page(results(modes=("real",)))
    assert "no generated rows were tested" in text


def test_unknown_price_is_said(study: Make) -> None:
    parts = study(priced=False)
    assert "price unknown" in page(build(**parts))


def test_a_single_seed_and_perfect_scores(study: Make) -> None:
    parts = study(seeds=1)
    one = Interval(1.0, 1.0, 1.0)
    parts["comparisons"] = [dataclasses.replace(c, macro_f1=one) for c in parts["comparisons"]]
    assert "interval over 1 seed." in page(build(**parts))


def test_the_answer_is_about_generated_rows_alone_and_says_what_real_ones_among_them_do(paper_results: Make) -> None:
    text = page(paper_results(tasks=1))
    assert "No, for this task." in text and "few-shot · roberta-base: loses 12 points" in text
    assert "Best of 4 ways tried. Good enough with real rows mixed in: 25% synthetic" in text


def test_no_number_is_missing_its_value(paper_results: Make) -> None:
    text = page(paper_results(tasks=4, fail=True))
    assert not re.search(r"\b(nan|inf|None|undefined)\b", text.split("Study file, all defaults")[0])


def test_everything_of_the_study_has_its_section(paper_results: Make) -> None:
    found = paper_results(tasks=4)
    text = page(found)
    heads = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert heads == ["Scores", *ALL_SECTIONS, "What the LLM wrote", "Cost and time", "Repeat it"]
    for finding in found.findings:
        assert finding.claim in text and finding.evidence in text
    assert "$0.23 for 1,000 predictions, 0.84 s each" in text
    assert "±" in text and "vendi error" not in text.lower()
    assert "gap to embedded/minilm-l6 trained on 100 real rows" in text, "the pool has fewer rows than those"
    assert "about 12 seeds or 3,400 test rows would decide" in text


def test_sections_without_anything_to_show_are_left_out(results: Make) -> None:
    text = page(results())
    assert not [head for head in ALL_SECTIONS if head in text]
    assert "Comparison with the paper" not in text and "Effect</th>" in text


def test_tasks_come_from_objective_to_subjective_all_over_the_page(paper_results: Make) -> None:
    text = page(paper_results(tasks=4))
    titles = ["SMS spam", "News topics", "Movie reviews", "Sarcasm in news headlines"]
    starts = [text.index(f"<strong>{title}:") for title in titles]
    assert starts == sorted(starts)
    assert re.findall(r"<summary><span class=\"ci\">(\d)</span>", text)[:4] == ["1", "2", "3", "4"]


def test_words_of_others_in_new_sections_become_no_markup(paper_study: Make) -> None:
    parts = paper_study(tasks=3)
    hostile = "<img src=x onerror=alert(1)>"
    parts["findings"] = [Finding("x", hostile, "undecided", hostile)]
    parts["subjectivity"] = [dataclasses.replace(item, note=hostile) for item in parts["subjectivity"]]
    parts["correlations"] = [dataclasses.replace(c, spearman=None, note=hostile) for c in parts["correlations"]]
    parts["paper"] = [dataclasses.replace(n, classifier=hostile, source=hostile) for n in parts["paper"]]
    text = page(build(**parts))
    assert hostile not in text
    assert text.count("&lt;img src=x onerror") > 8


def test_an_unknown_measure_is_shown_under_its_own_name(study: Make) -> None:
    parts = study()
    more = {"strange_measure": 0.1234, "strange_measure_error": 0.01}
    parts["syntheses"] = [dataclasses.replace(s, similarity={**s.similarity, **more}) for s in parts["syntheses"]]
    text = page(build(**parts))
    assert ">strange measure</th>" in text and "strange measure error" not in text
    assert '0.123 <span class="ci">± 0.010</span>' in text


def mode_of(item: Any) -> str:
    return str(item.mode if isinstance(item, Synthesis) else item.arm.mode)


def imported(item: Any) -> Any:
    """A record of few-shot rows, as if they had been imported."""
    changes = {"mode": "imported", "source": configured(ImportConfig(name="crowd-2024", task="t", file="rows.csv"))}
    if isinstance(item, Synthesis):
        return dataclasses.replace(item, **changes)
    return dataclasses.replace(item, arm=dataclasses.replace(item.arm, **changes))


def test_imported_rows_are_named_and_are_no_llm(study: Make) -> None:
    parts = study()
    for name in ("syntheses", "trials", "comparisons"):
        few = [item for item in parts[name] if mode_of(item) == "few_shot"]
        parts[name] = [item for item in parts[name] if item not in few] + [imported(item) for item in few]
    text = page(build(**parts))
    assert "imported · crowd-2024" in text
    assert "zero-shot · smollm2-135m-instruct</th>" not in text, "one LLM only: its name says nothing"


def test_same_results_same_page(results: Make) -> None:
    assert page(results()) == page(results())


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium here")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("size", [{}, {"fail": True}, WIDE, None], ids=["two", "failed", "ten", "paper"])
def test_in_a_browser(
    tmp_path: Path, study: Make, paper_study: Make, samples: Make, size: dict[str, Any] | None, width: int, scheme: Any
) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    parts = paper_study(fail=True) if size is None else study(**size)
    file.write_text(page(build(**parts), samples(parts)), encoding="utf-8")
    said: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        tab = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        for summary in tab.locator("summary").all()[:4]:
            summary.click()
        wide = tab.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert wide <= width, "the page itself must not scroll sideways"


def test_a_probe_is_told_from_the_encoder_that_it_reads() -> None:
    assert short("probe/embedded/minilm-l6") != short("embedded/minilm-l6") == "minilm-l6"
