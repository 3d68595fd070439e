"""Writes the results of a study to disk, reads them and shows them.

The newest results of a study are in ``<home>/studies/<name>/``; every run's results are also files of its MLflow run.
"""

import re
import sys
from pathlib import Path

from tasks.errors import UserError, writing
from tasks.files import make_folder, replace_files
from tasks.generation.synthesize import read_rows
from tasks.jsonl import encodable
from tasks.reporting import terminal
from tasks.reporting.report import render
from tasks.reporting.results import Results, read_results, to_json
from tasks.results_file import RESULTS
from tasks.settings import Settings, shared_files
from tasks.store import Store, needed

REPORT = "report.html"


def report_html(results: Results, settings: Settings) -> str:
    """The report of a study, with sample rows from the store."""
    store = Store(settings.store_url)
    made = [item.key for item in results.syntheses if item.status == "ok"]
    with needed():
        rows = {key: read_rows(store, key) for key in made}
    return render(results, rows)


def folder_of(study: str, settings: Settings) -> Path:
    """The folder with the newest results of a study."""
    return settings.home / "studies" / study


def write(results: Results, html: str, folder: Path) -> Path:
    """Write results.json and report.html; returns the path of the report.

    Raises ``RunError`` if they cannot be written; the former files then stay.
    """
    with writing("the results to", folder):
        make_folder(folder)
        texts = {REPORT: encodable(html), RESULTS: to_json(results)}
        replace_files({folder / name: text.encode() for name, text in texts.items()})
    return folder / REPORT


def copy(study: str, settings: Settings, folder: Path) -> Path:
    """Copy the newest results of a study and their report to another folder; returns the path of the report there.

    Raises ``RunError`` like ``write``.
    """
    with shared_files(), writing("the results to", folder):
        make_folder(folder)
        found = folder_of(study, settings)
        replace_files({folder / name: (found / name).read_bytes() for name in (REPORT, RESULTS)})
    return folder / REPORT


def last_results(study: str, settings: Settings) -> Results:
    """The newest results of a study.

    Raises ``UserError`` if the study has not been run here, ``RunError`` if the results are damaged or were written by
    a newer synthgap.
    """
    try:
        return read_results(folder_of(study, settings) / RESULTS)
    except FileNotFoundError:
        raise UserError(f"study {study!r} has no results in {str(settings.home)!r}; run it first") from None


def show(results: Results, report: Path) -> None:
    """Show the results in the terminal, and the path of the report."""
    terminal.show(terminal.study_view(results))
    print(f"{headline(results)}\nReport: {report}", file=sys.stderr)


def headline(results: Results) -> str:
    """One line about the finished cells of a run."""
    totals = results.totals
    done = totals.cells - totals.cells_failed
    return f"{done} of {totals.cells} cells finished, {totals.cells_stored} of them found in the store"


def artifact_key(study: str) -> str:
    """Key of a study's artifact in Prefect, which allows lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"synthgap-{study}".lower()).strip("-")
