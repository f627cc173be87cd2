"""Print the lowest version of each package that pyproject.toml allows, as constraints for pip."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def main() -> None:
    for requirement in tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]:
        print(requirement.partition(";")[0].strip().replace(">=", "=="))


if __name__ == "__main__":
    main()
