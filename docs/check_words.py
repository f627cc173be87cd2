"""Refuse retired words: `python docs/check_words.py` lists every place where one stands, and fails if there is any.

The code and the documents use the standard terms of the field (glossary.md). A word in RETIRED had a private
meaning here; beside it stands what to write. Retired names may stand in two files only: this one, and
`src/matinee/renamed.py`, which reads artefacts of format 1.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[1]
ALLOWED = ("docs/check_words.py", "src/matinee/renamed.py", "tests/golden/format-1/", "tests/docs/test_check_words.py")
TEXT = {".py", ".md", ".toml", ".html", ".js", ".css"}
CODE = ("src/", "tests/", "benchmarks/")
SITE = ("src/matinee/serve/", "src/matinee/models/")


class Retired(NamedTuple):
    """A retired word. pattern: matched in lower case; write: what to write; where: path prefixes, empty for all."""

    pattern: str
    write: str
    where: tuple[str, ...] = ()


RETIRED = (
    Retired(r"\bhears?\b|\bheard\b", "aggregated messages, propagated"),
    Retired(r"\btold\b", "passed, called with, propagated"),
    Retired(
        r"\bself\.own(_rows)?\b|\bself\.first\b", "user_embeddings, item_embeddings (layer 0)", ("src/matinee/models/",)
    ),
    Retired(r"\bitem_shares\b|\bitems' shares\b|what each layer counts", "item_bias, layer_weights"),
    Retired(r"(?<!by )(?<!than )\bchances?\b", "generator, rng, probability"),
    Retired(r"\bself\.turn\b|\bturned\b", "projection, projected", ("src/matinee/models/", "src/matinee/nn/")),
    Retired(r"\bself\.(mixed|up|down|shifts|near|across)\b", "out_proj, ffn_in, ffn_out, ffn_bias, W1, W2", CODE),
    Retired(r"(?<!decimal )\bplaces\b", "positions, indices", CODE),
    Retired(r"\bworth\b", "weight, score"),
    Retired(r"\blikeness(es)?\b|\balike\b", "similarity, similar"),
    Retired(r"\bfame\b", "popularity"),
    Retired(r"\badventurous\b|\bvariety\b", "novelty, diversity"),
    Retired(
        r"\bfigures? (on|of) (the )?valid\b|\bbetter figure\b|\bfigures of (an|each|every|this) epoch\b", "score, value"
    ),
    Retired(r"\bspread\b", "scale, standard deviation, dispersion", CODE),
    Retired(r"\bself\.half\b|\bhalf=", "bf16", CODE),
    Retired(r"(?<!als )\bhalf[ _]steps?\b", "ALS half-step, least squares"),
    Retired(r"\bholders\b", "support, number of users"),
    Retired(r"\byardsticks?\b", "baselines"),
    Retired(r"\bconfig\.watch\b|\bwatch=", "monitor"),
    Retired(r"\brefreshed\b", "with_graph_of, rebuilt graph"),
    Retired(r"\banew\b", "again, from the start, random restart"),
    Retired(r"\bmend(s|ed|ing)?\b", "fix"),
    Retired(r"\bwhoever\b|\bwhomever\b", "the visitor, a user who, anyone who"),
    Retired(r"\bwhat is no number\b", "NaN"),
    Retired(r"\bmistrusts?\b", "damps, shrinks"),
    Retired(
        r"\bserve/(mistakes|usable|guard|throttle|visitors)\b|\bstore/(checkup|shown)\b", "the module's name of today"
    ),
    Retired(
        r"as the model has it|\bi said\b|what became of it|is no rating and nothing|password now|nobody knows you yet",
        "the texts of today",
        SITE,
    ),
    Retired(
        "덕분에|견주기|그물|매듭|당신|잊어 주세요|모델이 준 그대로",
        "좋아하셔서, 비교, 그래프, 노드, 내 기록 모두 삭제, 초기화",
        SITE,
    ),
)


def files() -> Iterator[Path]:
    """The text files that git knows, and new ones that it does not ignore, but for those where old names may stand."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in sorted(set(listed.splitlines())):
        path = PROJECT / name
        if path.suffix in TEXT and not name.startswith(ALLOWED) and path.is_file():
            yield path


def problems(name: str, text: str) -> Iterator[str]:
    """One line for each retired word in a file: where it is, the word, and what to write."""
    rules = [rule for rule in RETIRED if not rule.where or name.startswith(rule.where)]
    for number, line in enumerate(text.lower().splitlines(), start=1):
        for rule in rules:
            for match in re.finditer(rule.pattern, line):
                yield f"{name}:{number}: {match[0]!r} is retired; write {rule.write}"


def main() -> int:
    """Check every file. Returns 1 if there is a retired word."""
    found = [
        problem
        for path in files()
        for problem in problems(path.relative_to(PROJECT).as_posix(), path.read_text("utf-8"))
    ]
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    sys.stdout.write(f"{len(found)} retired words\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
