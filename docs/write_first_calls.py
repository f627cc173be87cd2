"""Write what the first calls of a newcomer answer into docs/first-calls.md, by making them.

A test makes the calls again and compares errors whole, and of everything else the first line, but no sizes of frames.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import matinee as mt

PAGE = Path(__file__).with_name("first-calls.md")
MOST_LINES = 7
CALLS = """\
## Data
data = mt.load()
data
data.to_frame()
len(data)
data["value"]
data["rating"]
data[data["value"] > 3]
data.group_by("user")
mt.load("ratings.csv")
mt.read_csv("ratings.csv")
mt.events({"user": [1, 1, 2], "item": [5, 6, 5]})
mt.events({"usr": [1], "item": [5]}, usr="usr")
mt.events([(1, 5), (1, 6)])
mt.audit(data)
split = mt.split(data)
split
split.to_frame()
mt.split("bundled")
mt.split(data, "randm")
mt.split(data, "loo")
mt.split(data, test_size=0.2)
mt.split(data, ratios=(0.8, 0.2))
train, test = mt.split(data)
split["train"]
mt.Dataset(frame)
data.n_users
split.train
## Models
mt.models()
mt.models("ease")
mt.EASE(l2=200)
mt.EASE(200)
mt.EASY
mt.AlternatingLeastSquares(factors=64)
mt.IALS(factors=64)
mt.EASE(l2=200).fit(split)
mt.EASE(l2=200).recommend(1)
mt.fit("ease", "bundled")
mt.fit("EASE", split)
mt.fit("eas", split)
mt.fit("ease", split, lambda_=200)
mt.fit("ease", split, l2=-1)
mt.fit("lightgcn", split, epoch=2)
mt.train("ease", split)
mt.fit("ease", split, random_state=1)
mt.fit("ease", split, verbose=True)
mt.fit(split, "ease")
mt.fit(["ease", "popularity"], split)
mt.run_recbole(model="BPR", dataset="ml-100k")
ease = mt.fit("ease", split, l2=200)
ease
ease.l2
mt.fit(mt.Popularity(), split)
## Quality
mt.evaluate(ease, split, k=10)
mt.evaluate("popularity", split)
mt.evaluate(ease, data)
mt.evaluate(ease, split, on="train")
mt.evaluate(ease, split).to_frame()
mt.evaluate(ease, split)["ndcg@10"].mean
f"{mt.evaluate(ease, split)['ndcg@10']:.3f}"
mt.evaluate(ease, split)["ndcg@10"] > 0.2
mt.evaluate(ease, split)["hr@10"]
mt.evaluate(ease, split, metrics=["ndcg@10"])
mt.ndcg_at_k(ease, split)
mt.compare([ease, "popularity"], split)
mt.compare([ease, "popularity"], split)["popularity"].verdict
mt.compare("ease", "popularity")
mt.compare([ease, "popularity"], split, seeds=3)
mt.compare([ease, "popularity"], split, "ndgc@10")
## Figures
mt.evaluate(ease, split).plot()
mt.evaluate(ease, split).plot("report.jpg")
ease.plot()
mt.item_map(ease)
mt.plot(ease)
## Lists
mt.recommend(ease, "Alien (1979)", k=3)
mt.recommend(ease, liked=["Alien (1979)", "Blade Runner (1982)"], k=3, explain=True)
mt.recommend(ease, user=1, k=3).to_frame()
mt.recommend(ease, user=1000)
mt.recommend(ease, user=[1, 2])
mt.recommend(ease, user_id=1)
mt.recommend(ease, user=1, top_k=3)
mt.recommend(ease, user=1, filter_already_liked_items=True)
mt.recommend(ease, history={1214: 5.0})
ease.recommend(1, 10)
mt.recommend(ease, "Aliem (1979)")
mt.recommend(ease, 1)
mt.recommend(ease, history=1)
mt.recommend(ease)
mt.recommend("ease", "Alien (1979)")
mt.recommend(ease, "Alien (1979)", k=0)
mt.similar(ease, "Alien (1979)", k=3)
mt.similar(ease, 1)
mt.recommend_all(ease, k=2)
mt.predict(ease, 1)
## Artefacts
mt.save_artefact(ease, "my-ease")
mt.recommend("my-ease", "Alien (1979)", k=3)
mt.load_artefact("my-eas")
mt.save(ease, "my-ease")
"""
HEAD = """\
# First calls

What the calls that people try first answer; written by `docs/write_first_calls.py`, which makes them on the bundled
data. Each answer says what it is and how large, and what to call next; an error is one line with the call that works.
Long answers are cut here.

`import matinee as mt` completes in an editor: every function, and the settings of each model in `mt.fit("ease",
split, l2=200)` and `mt.EASE(l2=200)`. What is a table has `.to_frame()` (polars) and `.to_pandas()`, and
`per_user_to_frame()`, `segments_to_frame()` and `curves_to_frame()` have the values of each user, segment and epoch.
Data, splits, audits, reports, comparisons, searches, maps and models that train in epochs have `.plot()`: a figure that
a notebook shows, and that `.plot("report.svg")` saves.

In a notebook, the last line of a cell shows the same as a table. `python docs/draw_notebook.py` executes these and
draws them:

![Data, a split, an audit, a model, a list and settings, as the last lines of cells](images/notebook-objects.png)
![A report of one model and its figure, as the last lines of two cells](images/notebook-report.png)
![A comparison of five models, its frame and its figure](images/notebook-compare.png)
"""


def answers() -> Iterator[tuple[str, str]]:
    """Each line of CALLS with its answer; a heading and an assignment have none."""
    known: dict[str, object] = {"mt": mt}
    for line in CALLS.splitlines():
        yield line, "" if line.startswith("## ") else _answer(line, known)


def _answer(call: str, known: dict[str, object]) -> str:
    try:
        if re.match(r"[\w, ]+ = ", call):
            exec(call, known)
            return ""
        return re.sub(r", in [\d.]+ s", ", in 1.00 s", repr(eval(call, known)))
    except (mt.MatineeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"


def page() -> str:
    """The whole page."""
    blocks, lines = [HEAD], []
    for call, answer in [*answers(), ("## ", "")]:
        if call.startswith("## "):
            blocks += [_fenced(lines), call] if lines else [call]
            lines = []
            continue
        shown = answer.splitlines()
        lines += [f">>> {call}", *shown[:MOST_LINES], *(["..."] if len(shown) > MOST_LINES else [])]
    return "\n\n".join([block.strip("\n") for block in blocks[:-1]]) + "\n"


def _fenced(lines: list[str]) -> str:
    return "\n".join(["```pycon", *lines, "```"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        PAGE.write_text(page(), "utf-8")
