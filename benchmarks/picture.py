"""Takes a screenshot of a report like that in the README: in light colours, from the top of the page.

    python -m benchmarks.picture ~/.synthgap/studies/quickstart/report.html docs/images/report.png

It needs Chromium (``chromium`` on the PATH, or from ``playwright install chromium``). ``--whole`` takes the whole page,
``--dark`` uses dark colours, ``--width 390`` the width of a phone. Exits with 1 if the page is wider than its window.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1200, 1500
"""Pixels of the README's picture: the verdict and the scores."""


def take(report: Path, picture: Path, *, width: int, height: int, dark: bool, whole: bool) -> bool:
    """Write the picture as PNG; returns whether the page fits into the width of its window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        colours = "dark" if dark else "light"
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=colours)
        page.goto(report.absolute().as_uri())
        page.screenshot(path=picture, full_page=whole)
        fits: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        browser.close()
    return fits


def main() -> int:
    """Take the picture; the exit code is 1 if the page does not fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.html of a study")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--width", type=int, default=WIDTH, help="of the window, in pixels")
    parser.add_argument("--height", type=int, default=HEIGHT, help="of the window, in pixels")
    parser.add_argument("--dark", action="store_true", help="dark colours")
    parser.add_argument("--whole", action="store_true", help="all of the page, not only what the window shows")
    options = vars(parser.parse_args())
    fits = take(options.pop("report"), options.pop("picture"), **options)
    if not fits:
        print(f"the page is wider than {options['width']} pixels", file=sys.stderr)
    return int(not fits)


if __name__ == "__main__":
    sys.exit(main())
