"""The report page: it answers first, hides no failure, trusts no text, and asks the network for nothing."""

import dataclasses
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tasks.records import Interval, Row
from tasks.reporting.report import render
from tasks.reporting.results import assemble

Make = Callable[..., dict[str, Any]]
CHROMIUM = "/usr/bin/chromium"
WIDE = {
    "tasks": 10,
    "modes": ("real", "zero_shot", "few_shot", "pool_only", "mixed"),
    "generators": ("embedded/a", "openai/b", "c/d"),
}


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def page(results: dict[str, Any], rows: dict[str, Any] | None = None) -> str:
    return render(results, rows or {})


def test_the_answer_comes_first(results: Make) -> None:
    text = page(results())
    answer = text.index("few-shot: loses 13 points (11 to 15): buy labels.")
    assert answer < text.index("<table") and answer < text.index("<svg")
    assert "No, for both tasks." in text


def test_no_text_of_an_llm_becomes_markup(study: Make, samples: Make) -> None:
    parts = study()
    hostile = "<script>alert(1)</script>"
    parts["tasks"][0] = dataclasses.replace(parts["tasks"][0], title=hostile, source=hostile, labels=(hostile, "b"))
    parts["comparisons"] = [dataclasses.replace(c, verdict=hostile) for c in parts["comparisons"]]
    parts["syntheses"][0] = dataclasses.replace(parts["syntheses"][0], status="failed", error=hostile)
    text = page(assemble(**parts), samples(parts))
    tags = _Page(text).tags
    assert hostile not in text
    assert not {"script", "img", "iframe", "object", "embed"} & {tag for tag, _ in tags}
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "&lt;script&gt;alert(&#39;kept&#39;)" in text


def test_sample_rows_show_every_reason(study: Make) -> None:
    parts = study()
    key = parts["syntheses"][0].key
    rejected = [Row(f"text {n}", "ham", "c", "duplicate") for n in range(50)] + [Row("odd", "ham", "c", "too_long")]
    text = page(assemble(**parts), {key: ((), tuple(rejected))})
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
        dataclasses.replace(c, macro_f1=None, accuracy=None, gap=None) for c in parts["comparisons"]
    ]
    text = page(assemble(**parts))
    assert "No result, for both tasks." in text and "no disk" in text


def test_a_study_of_nothing_but_failed_loads(study: Make) -> None:
    parts = study() | {"trials": [], "comparisons": [], "syntheses": [], "tasks": [], "estimate": None}
    text = page(assemble(**parts))
    assert "No task could be loaded." in text and "headline_sarcasm" in text


def test_a_real_only_study_has_a_report(results: Make) -> None:
    text = page(results(modes=("real",)))
    assert "no generated rows were tested" in text


def test_unknown_price_is_said(study: Make) -> None:
    parts = study(priced=False)
    assert "price unknown" in page(assemble(**parts))


def test_a_single_seed_and_perfect_scores(study: Make) -> None:
    parts = study(seeds=1)
    one = Interval(1.0, 1.0, 1.0)
    parts["comparisons"] = [dataclasses.replace(c, macro_f1=one) for c in parts["comparisons"]]
    assert "interval over 1 seed." in page(assemble(**parts))


def test_same_results_same_page(results: Make) -> None:
    assert page(results()) == page(results())


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium here")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("size", [{}, {"fail": True}, WIDE], ids=["two", "failed", "ten"])
def test_in_a_browser(
    tmp_path: Path, results: Make, study: Make, samples: Make, size: dict[str, Any], width: int, scheme: Any
) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    file.write_text(page(results(**size), samples(study(**size))), encoding="utf-8")
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
