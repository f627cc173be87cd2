"""Files of figures: which can be written, checked before the work, and how they are saved."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.destinations import MARK, require_file
from matinee.extras import require
from matinee.writing import new_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")
_AUTHOR = {".png": "Software", ".svg": "Creator", ".pdf": "Creator"}
"""The key of a figure's metadata that says which program wrote it."""


def require_figure(path: Path | None, option: str = "--figure", *, page: bool = False) -> None:
    """Raises MatineeError unless a figure can be saved at a path; None is fine. page: an HTML page too."""
    if path is not None:
        require_file(path, option, (*PAGES, *FIGURES) if page else FIGURES)
        require("matplotlib", f"{option} is drawn by matplotlib")


def save_figure(figure: "Figure", path: Path, **settings: Any) -> None:  # noqa: ANN401 - matplotlib's own settings
    """Save a figure in one step; the format follows the suffix. Raises MatineeError if it cannot be written."""
    require_file(path, "--figure", FIGURES, n_bytes=0)
    with new_file(path, "figure") as part, warnings.catch_warnings():
        # a data set's name may contain characters that the font lacks
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(part, metadata={_AUTHOR[path.suffix.lower()]: MARK.decode()}, **settings)
