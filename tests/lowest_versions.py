"""Print the lowest versions that pyproject.toml allows, of users' extras too, as constraints for pip."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def main() -> None:
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = [each for name, listed in project["optional-dependencies"].items() if name != "dev" for each in listed]
    for requirement in dict.fromkeys([*project["dependencies"], *extras]):
        without_extras = re.sub(r"\[.*?\]", "", requirement.partition(";")[0])  # constraints may have none
        print(without_extras.strip().replace(">=", "=="))


if __name__ == "__main__":
    main()
