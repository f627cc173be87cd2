"""The tutorials of docs/tutorials as executed notebooks: Markdown in, with what each cell answers.

A hook of mkdocs, which puts every tutorial with its outputs, and the notebook beside it, into the site; a cell that
fails ends the build. `python docs/run_tutorials.py compare` writes the notebook alone, into build/notebooks.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

SOURCES = Path(__file__).with_name("tutorials")
SECONDS_A_CELL = 600
DOWNLOAD = (
    '<p class="notebook">This page is a notebook: <a href="{}.ipynb" download>download it</a> with its outputs.</p>\n\n'
)

_pages: dict[str, str] = {}
"""Path of a page below docs -> its Markdown with the outputs, from on_files until the pages are read."""


def executed(source: Path) -> NotebookNode:
    """The notebook of a tutorial with its outputs, run in an empty folder. Raises CellExecutionError."""
    notebook = jupytext.read(source)
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=SECONDS_A_CELL, kernel_name="python3", resources=where)
        client.execute(env=os.environ | {"PATH": commands})
    for output in (each for cell in notebook.cells for each in cell.get("outputs", ())):
        if output.output_type == "stream":
            output.text = strip_ansi(output.text)
    return notebook


def with_outputs(notebook: NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook, and its pictures by their path beside it."""
    resources = {"unique_key": name, "output_files_dir": f"{name}_files"}
    body, found = MarkdownExporter().from_notebook_node(notebook, resources)
    return body, found["outputs"]


def on_files(files: Files, config: Any, **_: object) -> Files:  # noqa: ANN401 - mkdocs' own class
    """Execute the tutorials; their notebooks and pictures become files of the site."""
    for source in sorted(SOURCES.glob("*.md")):
        notebook = executed(source)
        body, pictures = with_outputs(notebook, source.stem)
        title, _, rest = body.lstrip().partition("\n")
        page = f"{SOURCES.name}/{source.name}"
        _pages[page] = f"{title}\n\n{DOWNLOAD.format(source.stem)}{rest}"
        files.append(File.generated(config, page.replace(".md", ".ipynb"), content=nbformat.writes(notebook)))
        for path, picture in pictures.items():
            files.append(File.generated(config, f"{SOURCES.name}/{path}", content=picture))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:  # noqa: ANN401 - mkdocs' own class
    """A tutorial's page has what its cells answer."""
    return _pages.get(page.file.src_uri, markdown)


def main(names: list[str]) -> None:
    """Write the notebooks of these tutorials, or of all."""
    folder = SOURCES.parents[1] / "build" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(SOURCES.glob("*.md")):
        if not names or source.stem in names:
            nbformat.write(executed(source), folder / f"{source.stem}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
