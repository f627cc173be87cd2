"""Pictures of items, from one folder of the machine: checked, made small, and served by the site itself.

A picture is the name of a file in the folder, or in a folder inside it. Addresses of other hosts are not loaded: their
owners would see every visitor. Whatever is no sound picture is said once in the log, and the item keeps its card.
"""

import logging
import warnings
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_BYTES, MAX_PIXELS, MAX_SIDE = 20 * 2**20, 50_000_000, 20_000
WIDTH, HEIGHT = 480, 720
"""The size of what is served, at most."""
CACHED = 512
"""Small pictures in memory: about 20 MB."""
_log = logging.getLogger("matinee")


class Pictures:
    """The pictures in a folder; None for a site without any."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder.resolve()
        self.has = lru_cache(maxsize=65_536)(self._has)
        self.small = lru_cache(maxsize=CACHED)(self._small)

    def _has(self, name: str) -> bool:
        """Whether a name is that of a picture which can be shown; why not goes to the log, once."""
        if not name or self._folder is None:
            return False
        try:
            self._open(name).close()
        except ValueError as error:
            _log.warning("picture %r is not shown: %s", name[:100], error)
            return False
        return True

    def _small(self, name: str) -> bytes | None:
        """A picture as WebP of at most WIDTH by HEIGHT pixels, without anything else from its file; None if broken."""
        out = BytesIO()
        try:
            with warnings.catch_warnings(), self._open(name) as file:
                warnings.simplefilter("ignore")
                image = ImageOps.exif_transpose(file)
                image.thumbnail((WIDTH, HEIGHT))
                has_alpha = "transparency" in image.info or image.mode in ("RGBA", "LA")
                image.convert("RGBA" if has_alpha else "RGB").save(out, "WEBP", quality=82)
        except (ValueError, OSError, SyntaxError, MemoryError) as error:
            _log.warning("picture %r is not shown: %s", name[:100], str(error)[:200])
            return None
        return out.getvalue()

    def _open(self, name: str) -> Image.Image:
        """The opened file, of which only the head is read. Raises ValueError if it is none that may be shown."""
        if "://" in name or name.startswith("//"):
            raise ValueError("it is an address of another host; put the file into the folder of pictures")
        folder = self._folder
        if folder is None:
            raise ValueError("the site has no folder of pictures")
        try:
            path = (folder / name).resolve()
            if not path.is_relative_to(folder):
                raise ValueError("it is outside the folder of pictures")
            if not path.is_file():
                raise ValueError("there is no such file")
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"the file is larger than {MAX_BYTES // 2**20} MB")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of large pictures, whose size is checked below
                image = Image.open(path, formats=FORMATS)
        except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            is_none = isinstance(error, UnidentifiedImageError | SyntaxError)
            reason = f"it is no {', '.join(FORMATS)}" if is_none else str(error)[:100]
            raise ValueError(reason) from None
        width, height = image.size
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            image.close()
            raise ValueError(f"it has {width} by {height} pixels; at most {MAX_PIXELS:,} in all")
        return image
