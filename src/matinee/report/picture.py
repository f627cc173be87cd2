"""A figure that a notebook shows by itself, without pyplot and its global state."""

import warnings
from io import BytesIO

from matplotlib.figure import Figure

NOTEBOOK_DPI = 110


class Picture(Figure):
    """A figure of Matplotlib with a picture of itself for notebooks."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # in a name of the data
            self.savefig(buffer, format="png", dpi=NOTEBOOK_DPI, bbox_inches="tight")
        return buffer.getvalue()
