"""Tags: counted by users, kept through filters and artefacts, displayed on the movie page."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from matinee import workflow
from matinee.data.loading import load
from matinee.serve.app import create_app
from matinee.store.artefact import load as load_artefact
from matinee.store.artefact import save

RATINGS = "userId,movieId,rating,timestamp\n1,10,4,100\n2,10,5,101\n1,20,3,102\n2,30,4,103\n"
MOVIES = "movieId,title,genres\n10,Alien (1979),Horror\n20,Heat (1995),Crime\n30,Up (2009),Animation\n"
TAGS = (
    "userId,movieId,tag,timestamp\n1,10,space,1\n2,10, Space ,2\n2,10,space,3\n1,10,dark,1\n1,10,<b>,1\n3,20,heist,4\n"
    "1,99,unknown movie,5\n1,20,,6\n"
)


def written(folder: Path, tags: str | None) -> Path:
    (folder / "ratings.csv").write_text(RATINGS, "utf-8")
    (folder / "movies.csv").write_text(MOVIES, "utf-8")
    if tags is not None:
        (folder / "tags.csv").write_text(tags, "utf-8")
    return folder


def test_tags_are_ordered_by_count_then_alphabet(tmp_path: Path) -> None:
    data = load(written(tmp_path, TAGS))
    assert data.catalogue.tags == (("space", "<b>", "dark"), ("heist",), ())
    assert data.keep(data.events.item_rows != 0).catalogue.tags == (("heist",), ())


def test_a_missing_or_broken_tags_file_gives_no_tags(tmp_path: Path) -> None:
    for n, tags in enumerate((None, "nothing\nof,the\nkind", "userId,movieId,tag,timestamp\n", "")):
        folder = tmp_path / str(n)
        folder.mkdir()
        assert load(written(folder, tags)).catalogue.tags == ()


def test_an_artefact_keeps_them_and_the_movie_page_shows_them(tmp_path: Path) -> None:
    data = load(written(tmp_path, TAGS))
    artefact = save(workflow.fit("popularity", data), tmp_path / "popularity")
    assert artefact.path is not None
    assert load_artefact(artefact.path).catalogue.tags == data.catalogue.tags
    app = create_app([artefact.path], db_url=f"sqlite:///{tmp_path}/t.db")
    with TestClient(app) as client:
        page = client.get("/movie/10").text
        assert "<li>space</li><li>&lt;b&gt;</li><li>dark</li>" in page
        assert 'class="tags"' not in client.get("/movie/30").text


def test_real_tags_against_a_plain_loop(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("movielens-small-2018")
    data = load(folder)
    given: dict[int, set[tuple[str, str]]] = {}
    for line in (folder / "tags.csv").read_text("utf-8").splitlines()[1:]:
        user, movie, rest = line.split(",", 2)
        tag = rest.rpartition(",")[0].strip('"').replace('""', '"').strip().lower()
        given.setdefault(int(movie), set()).add((user, tag))
    pulp = Counter(tag for _, tag in given[296])
    wanted = sorted(pulp, key=lambda tag: (-pulp[tag], tag))[:8]
    assert list(data.catalogue.tags[data.items.row(296)]) == wanted
