"""Searches by meaning over MovieLens 1M with abstracts: 35 in Korean and 20 in English, and what they find first.

    python benchmarks/meaning.py > benchmarks/meaning.json

Needs the extra `text`, and ml-1m and ml-1m-text in MATINEE_DATA. The first run embeds 3,706 passages, about 8 minutes
of one core, and keeps them in the cache. The weights of `serve/meaning.py` were chosen on the ten queries of TUNE; the
others are measured: KOREAN and ENGLISH, and 15 in Korean that were written after the list of Korean words, each with
movies that it should find, before any was run (`meaning_fresh.json`). A result is right if it was noted then, or if a
reader who knows the movies says so: `meaning_judged.json`.
"""

import json
import os
import statistics
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

import matinee as mt
from matinee.folders import cache_folder
from matinee.models.content.encoder import encoder
from matinee.serve.meaning import MeaningSearch
from matinee.serve.search import TitleSearch
from matinee.store.embeddings import read_embeddings, write_embeddings
from new_items import features

TUNE = (
    "우주에서 괴물과 싸우는 공포 영화",
    "장난감이 살아 움직이는 만화영화",
    "공룡이 되살아난 섬",
    "침몰하는 배에서 피어난 사랑",
    "같은 하루가 계속 반복되는 코미디",
    "a shark terrorises a beach town",
    "a hacker discovers that the world is a simulation",
    "an underdog boxer fights for the title",
    "saga of a mafia family",
    "a talking pig on a farm",
)
KOREAN = (
    "지구로 돌아오지 못할 위기에 처한 우주 비행사들",
    "연쇄 살인범을 쫓는 형사",
    "기억이 조작된 미래 사회",
    "나치로부터 유대인을 구한 사업가",
    "소행성이 지구에 충돌하는 재난 영화",
    "뱀파이어가 나오는 영화",
    "감옥에서 탈출하는 죄수들",
    "서부 시대의 총잡이",
    "미래에서 온 로봇 암살자",
    "베트남 전쟁의 참상",
    "개가 주인공인 가족 영화",
    "법정에서 진실을 밝히는 변호사",
    "외계인이 지구를 침공한다",
    "뉴욕을 배경으로 한 로맨틱 코미디",
    "유령이 나오는 무서운 집",
)
ENGLISH = (
    "a crew plans a heist",
    "travelling through time in a car",
    "ghosts haunt an old house",
    "cold war submarine thriller",
    "martial arts tournament",
    "teenagers stalked by a masked killer",
    "samurai in feudal Japan",
    "a girl is swept away to a magical land by a tornado",
    "journalists uncover a political scandal",
    "a man raised by apes in the jungle",
    "giant monster destroys a city",
    "a movie about baseball",
    "a teacher inspires difficult students",
    "Christmas movie for children",
    "racism in the American South",
)
TITLES = ("the matrix", "star wars", "toy sto", "godfather", "forest gump", "alien", "schindlers list", "2001")
JUDGED = json.loads(Path(__file__).with_name("meaning_judged.json").read_text("utf-8"))
FRESH = json.loads(Path(__file__).with_name("meaning_fresh.json").read_text("utf-8"))


def index(root: Path) -> tuple[Any, MeaningSearch, TitleSearch]:
    """The catalogue's titles and its two indexes; vectors are kept in the cache."""
    data = mt.load(root / "ml-1m")
    popularity = np.bincount(data.events.item_rows, minlength=len(data.items))
    folder = cache_folder() / "embeddings-ml-1m"

    def report(done: int, total: int) -> None:
        print(f"{done} of {total} passages", file=sys.stderr, flush=True)

    found = MeaningSearch.of(features(root, data), popularity, encoder(), read_embeddings(folder), report)
    write_embeddings(folder, found.embeddings)
    return data.catalogue.titles, found, TitleSearch(data.catalogue, popularity)


def milliseconds(work: Any, queries: tuple[str, ...], repeats: int) -> dict[str, float]:
    """Median time of a query, on the wall and of the processor."""
    wall, processor = [], []
    for repeat in range(repeats):
        for query in queries:
            started, used = perf_counter(), process_time()
            work(query, repeat)
            wall.append(1000 * (perf_counter() - started))
            processor.append(1000 * (process_time() - used))
    return {"wall": statistics.median(wall), "processor": statistics.median(processor)}


def main() -> None:
    root = Path(os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    titles, meaning, by_title = index(root)
    queries = {
        query: {
            "for": "tuning" if query in TUNE else "fresh" if query in FRESH else "test",
            "language": "en" if query.isascii() else "ko",
            "found": (found := [titles[row] for row in meaning.find(query, 5)]),
            "right": [title for title in found if title in JUDGED.get(query, []) + FRESH.get(query, [])],
            "noted": [title for title in found if title in FRESH.get(query, [])],
        }
        for query in (*TUNE, *KOREAN, *FRESH, *ENGLISH)
    }
    means = {
        f"{part}, {language}": {
            "right of 5": statistics.mean(len(one["right"]) for one in chosen),
            "first is right": statistics.mean(one["found"][:1] == one["right"][:1] != [] for one in chosen),
            "any is right": statistics.mean(bool(one["right"]) for one in chosen),
            "noted of 5": statistics.mean(len(one["noted"]) for one in chosen) if part == "fresh" else None,
        }
        for part in ("tuning", "test", "fresh")
        for language in ("ko", "en")
        if (chosen := [one for one in queries.values() if (one["for"], one["language"]) == (part, language)])
    }
    speed = {
        "title search": milliseconds(lambda query, _: by_title.find(query, 60), TITLES, 50),
        "meaning, new query in English": milliseconds(lambda query, n: meaning.find(f"{query} {n}", 12), ENGLISH, 4),
        "meaning, new query in Korean": milliseconds(lambda query, n: meaning.find(f"{query} {n}", 12), KOREAN, 4),
        "meaning, repeated query": milliseconds(lambda query, _: meaning.find(query, 12), KOREAN, 20),
    }
    print(json.dumps({"means": means, "milliseconds": speed, "queries": queries}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
