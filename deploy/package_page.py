"""What a package index shows of the project: its page, which is the README, and its addresses. A hook of hatchling.

    MATINEE_REPOSITORY=https://HOST/OWNER/matinee python -m build

The repository is where the release is published. With it, pictures and links of the page lead to the version's tag
there, and the project's addresses are named. Without it, the page has pictures and files by their names alone, since an
index has no file to show for a relative link.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"!\[([^\]]*)\]\((?!\w+:)([^)]+)\)")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#)([^)]+)\)")


class PackagePage(MetadataHookInterface):
    """Sets `readme`, and `urls` where the repository is known."""

    def update(self, metadata: dict[str, Any]) -> None:
        """See MetadataHookInterface."""
        repository = os.environ.get("MATINEE_REPOSITORY", "").rstrip("/")
        text = Path(self.root, "README.md").read_text("utf-8")
        version = re.search(r'__version__ = "(.+)"', Path(self.root, "src/matinee/version.py").read_text("utf-8"))[1]  # type: ignore[index]
        metadata["readme"] = {"content-type": "text/markdown", "text": page(text, repository, f"v{version}")}
        if repository:
            metadata["urls"] = urls(repository)


def page(readme: str, repository: str, tag: str) -> str:
    """The README with absolute pictures and links, or without any into the repository if it is empty."""
    if not repository:
        return LINK.sub(r"\1", PICTURE.sub(r"*\1*", readme))
    pictures = PICTURE.sub(rf"![\1]({repository}/raw/{tag}/\2)", readme)
    return LINK.sub(rf"[\1]({repository}/blob/{tag}/\2)", pictures)


def urls(repository: str) -> dict[str, str]:
    """The project's addresses, by the labels that indexes know."""
    return {
        "Homepage": repository,
        "Documentation": f"{repository}/blob/main/docs/index.md",
        "Source": repository,
        "Issues": f"{repository}/issues",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
    }
