"""Five sample people: who they are, that looking as one changes what is shown, and that nothing is written."""

import re

import numpy as np
import pytest
from fastapi import FastAPI

from matinee.serve.sample_people import LEAST_EVENTS, MOST_EVENTS, find_people
from matinee.store.artefact import load
from site_fixtures import SiteClient, count_events


def test_sample_people_are_users_whose_taste_is_far_from_the_mean(artefact_paths: list, app: FastAPI) -> None:
    """Against shares counted one by one."""
    artefact = load(artefact_paths[0])
    found = find_people(artefact)
    assert len(found) == 5
    assert len({genres[0] for _, genres in found}) == 5
    catalogue, shares = artefact.catalogue, {}
    for user in np.unique(artefact.known.events.user_rows).tolist():
        history = artefact.known.of_rows(np.array([user]))
        likes = [catalogue.genres[row] for row, value in zip(history.items, history.values, strict=True) if value > 2]
        n_events = int((artefact.known.events.user_rows == user).sum())
        if LEAST_EVENTS <= n_events <= MOST_EVENTS and len(likes) >= LEAST_EVENTS / 2:
            shares[user] = {name: np.mean([name in genres for genres in likes]) for name in catalogue.genre_names}
    for user, (first, *_) in found:
        mean = np.mean([share[first] for share in shares.values()])
        assert shares[user][first] > max(0.3, 1.5 * mean), first


def look(client: SiteClient, person: str, next: str = "/") -> str:
    answer = client.post("/lab/person", data={"person": person, "next": next})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_one_click_shows_the_site_as_somebody_else_and_another_leads_back(client: SiteClient) -> None:
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    mine = client.get("/").text
    people = client.get("/models").text
    tastes = re.findall(r"<h3>([^<]+)</h3>", people.partition('id="people"')[2])
    assert len(tastes) == 5
    theirs = look(client, "2")
    assert f"You are looking as someone who likes {tastes[1]}" in theirs
    assert 'class="looking"' in theirs
    assert 'id="for-you"' in theirs
    for path in ("/models/ease", "/compare", "/movie/1214", "/search?q=alien", "/nowhere"):
        assert "You are looking as" in client.get(path).text, path
    assert "You are looking as" not in client.get("/my").text  # one's own data stay one's own
    assert "Alien" in client.get("/my").text
    back = look(client, "")
    assert re.findall(r'data-item="(\d+)"', back) == re.findall(r'data-item="(\d+)"', mine)
    assert "You are looking as" not in back


def test_nothing_is_written_while_looking_as_somebody_else(client: SiteClient, app: FastAPI) -> None:
    client.post("/mark", data={"item_id": "1214", "mark": "5"})
    database = app.state.site.database

    def written() -> tuple[int, int]:
        with database.read() as connection:
            user_id = connection.exec_driver_sql("SELECT user_id FROM events").scalars().first()
        return count_events(database), len(list(app.state.site.accounts.lists(str(user_id))))

    look(client, "1")
    before = written()
    for path in ("/", "/models/ease", "/compare", "/movie/1214?list=x", "/why/2571"):
        client.get(path)
    for mark in ("5", "watched", "removed", "dismissed", "saved", "more"):
        answer = client.post("/mark", data={"item_id": "2571", "mark": mark})
        assert (answer.status_code, "nothing was written" in answer.text) == (409, True)
    assert written() == before
    look(client, "")
    assert client.post("/mark", data={"item_id": "2571", "mark": "5"}).status_code == 200


@pytest.mark.parametrize("person", ["0", "6", "-1", "1 ", "x", "１"])
def test_an_unknown_person_is_refused_and_an_old_cookie_is_nobody(client: SiteClient, person: str) -> None:
    assert client.post("/lab/person", data={"person": person}).status_code == 404
    client.cookies.set("matinee_person", "9", domain="testserver.local")
    assert "You are looking as" not in client.get("/").text


def test_the_way_back_stays_on_this_site(client: SiteClient) -> None:
    answer = client.post("/lab/person", data={"person": "1", "next": "//evil.example"}, follow_redirects=False)
    assert answer.headers["location"] == "/"
