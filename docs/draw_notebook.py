"""Execute a notebook and draw what its cells show, for docs/first-calls.md: `python docs/draw_notebook.py`.

Each cell's last line is an object; nbconvert executes and renders it, Chromium draws it. Writes three pictures into
images/: notebook-objects.png, notebook-report.png and notebook-compare.png.
"""

import shutil
import tempfile
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
SET_UP = "import matinee as mt\ndata = mt.keep(mt.load(), min_item_events=40)\nsplit = mt.split(data)"
NOTEBOOKS = {
    "objects": [
        "data",
        "split",
        "mt.audit(data)",
        'model = mt.fit("ease", split)\nmodel',
        'mt.recommend(model, liked=["Alien (1979)"], k=5)',
        'mt.models("ease")',
    ],
    "report": ['report = mt.evaluate("item-knn", split, k=(5, 10, 20))\nreport', "report.plot()"],
    "compare": [
        'comparison = mt.compare(["popularity", "user-knn", "item-knn", "ease", "ials"], split)\ncomparison',
        "comparison.to_frame().select('model', 'score', 'difference', 'p_adjusted', 'verdict')",
        "comparison.plot()",
    ],
}
WIDTH = 1000


def rendered(cells: list[str]) -> str:
    """A notebook of these cells, executed, as a page."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in (SET_UP, *cells)])
    ExecutePreprocessor(timeout=300).preprocess(notebook)
    page, _ = HTMLExporter(require_js_url="", mathjax_url="").from_notebook_node(notebook)
    return str(page)


def main() -> None:
    """See above."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, cells in NOTEBOOKS.items():
            path = Path(folder, f"{name}.html")
            path.write_text(rendered(cells), encoding="utf-8")
            page = browser.new_page(viewport={"width": WIDTH, "height": 700})
            page.route("http*://**", lambda route: route.abort())
            page.goto(path.as_uri())
            page.screenshot(path=IMAGES / f"notebook-{name}.png", full_page=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
