"""What would change a list: on Why, in the API and in Python; the changes are applied and do it."""

import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import matinee as mt
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.serve.site import Site

HISTORY = [1214, 1200, 541]


def listed(site: Site, ids: list[int], k: int) -> list[int]:
    history = Histories.of([site.engine.items.rows(ids).tolist()])
    return [int(item.item_id) for item in site.engine.recommend_for(history, k, "ease", explain=False)]


def test_the_api_names_changes_that_do_it(client: TestClient, app: FastAPI) -> None:
    site: Site = app.state.site
    asked = {"history": ",".join(map(str, HISTORY)), "model": "ease", "k": 10}
    twenty = listed(site, HISTORY, 200)
    for item_id in (twenty[0], twenty[9], twenty[10], twenty[30], twenty[150]):
        found = client.get(f"/api/v1/items/{item_id}/counterfactual", params=asked).json()
        assert found["goal"] == ("leave" if item_id in twenty[:10] else "enter")
        assert found["rank_before"] == twenty.index(item_id) + 1
        if not found["found"]:
            assert found["removed"] == found["added"] == []
            continue
        gone = {item["item_id"] for item in found["removed"]}
        changed = [one for one in HISTORY if one not in gone]
        if not found["added"]:
            assert (item_id in listed(site, changed, 10)) == (found["goal"] == "enter")
        assert gone <= set(HISTORY)
        assert item_id not in {item["item_id"] for item in found["added"]}


def test_the_page_offers_it_and_says_it(client: TestClient) -> None:
    assert 'id="change"' not in client.get("/why/1200?model=ease").text, "nobody has rated anything"
    for item_id in HISTORY[:2]:
        client.post("/mark", data={"item_id": str(item_id), "mark": "5"})
    page = client.get("/why/541?model=ease").text
    assert "change=true#change" in page
    for language, words in (("en", "It is number"), ("ko", "지금")):
        answer = client.get("/why/541?model=ease&change=true", headers={"accept-language": language}).text
        section = re.search(r'<section id="change">.*?</section>', answer, re.DOTALL)
        assert section is not None
        assert words in section[0]
        assert "<li>" in section[0]
    assert 'id="change"' not in client.get(f"/why/{HISTORY[0]}?model=ease&change=true").text, "it is watched"
    assert client.get("/why/541?model=ease&change=maybe").status_code in (404, 422)


def test_in_python_by_title() -> None:
    model = mt.fit("ease", mt.load("bundled"))
    liked = ["Alien (1979)", "Blade Runner (1982)"]
    first = mt.recommend(model, liked=liked, k=3).movies[0]
    leaving = mt.counterfactual(model, title=first.title, liked=liked, k=3)
    assert (leaving.goal, leaving.rank_before) == ("leave", 1)
    if leaving.found:
        kept = [title for title in liked if title not in leaving.removed]
        assert first.title not in [movie.title for movie in mt.recommend(model, liked=kept, k=3)] if kept else True
    entering = mt.counterfactual(model, title="Toy Story (1995)", liked=liked, k=10)
    assert entering.goal == "enter"
    assert entering.found
    kept = [title for title in liked if title not in entering.removed]
    assert "Toy Story (1995)" in [movie.title for movie in mt.recommend(model, liked=[*kept, *entering.added], k=10)]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"liked": ["Alien (1979)"]}, "give one of item"),
        ({"item": 1, "title": "Toy Story (1995)", "liked": ["Alien (1979)"]}, "give one of item"),
        ({"item": 1}, "give one of user"),
        ({"item": 987654321, "liked": ["Alien (1979)"]}, "no movie with id"),
        ({"title": "Alien (1979)", "liked": ["Alien (1979)"]}, "is in the history"),
        ({"item": 1, "liked": ["Alien (1979)"], "k": 0}, "at least one item"),
        ({"title": "Alienn", "liked": ["Alien (1979)"]}, "did you mean"),
    ],
)
def test_bad_questions_are_refused(asked: dict[str, object], message: str) -> None:
    model = mt.fit("popularity", mt.load("bundled"))
    with pytest.raises(MatineeError, match=message):
        mt.counterfactual(model, **asked)  # type: ignore[arg-type]
