"""A small shop: products that people bought, without a word of movies."""

from pathlib import Path

import numpy as np
import pytest

from matinee.catalogue import Catalogue
from matinee.dataset import Dataset, EventKind, Events
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.vocab import Vocab
from site_fixtures import CHEAP, NOW, SiteClient, train

CATEGORIES = {
    "Kitchen": ("kettle", "pan", "whisk", "knife", "bowl", "grater"),
    "Garden": ("rake", "hose", "trowel", "planter", "lantern", "shears"),
    "Office": ("lamp", "notebook", "stapler", "chair", "tray", "pencil"),
    "Sport": ("racket", "mat", "rope", "bottle", "glove", "whistle"),
}
KINDS = ("Copper", "Oak", "Enamel", "Linen", "Steel", "Folding", "Travel", "Everyday", "Large", "Small")


def shop_data(n_users: int = 160, kind: str = "click", seed: int = 1) -> Dataset:
    """240 products of four categories; each person buys in two of them."""
    rng = np.random.default_rng(seed)
    products = [
        (f"{one} {thing}", category) for category, things in CATEGORIES.items() for thing in things for one in KINDS
    ]
    popularity = rng.permutation(1 / np.arange(1, len(products) + 1))
    categories = np.array([list(CATEGORIES).index(category) for _, category in products])
    users, items = [], []
    for user in range(n_users):
        weight = popularity * np.isin(categories, rng.choice(len(CATEGORIES), 2, replace=False))
        bought = rng.choice(len(products), 12, replace=False, p=weight / weight.sum())
        users += [user] * len(bought)
        items += bought.tolist()
    values = rng.integers(1, 6, len(users)) if kind == "rating" else np.ones(len(users))
    times = NOW - 86_400 * rng.integers(1, 300, len(users))
    events = Events.ordered(np.array(users), np.array(items), values.astype(np.float32), times)
    catalogue = Catalogue(
        tuple(title for title, _ in products), (0,) * len(products), tuple((category,) for _, category in products)
    )
    own = {"purchase": EventKind(len(events), 1.0)} if kind == "click" else {}
    ids = Vocab.of([f"p{number:03}" for number in range(len(products))])
    return Dataset(
        "corner-shop",
        Vocab.of([f"u{user:03}" for user in range(n_users)]),
        ids,
        events,
        catalogue,
        kind,
        event_kinds=own,
    )


@pytest.fixture(scope="session")
def shop_paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Popularity, ItemKNN, EASE and iALS, fitted on the shop."""
    folder = tmp_path_factory.mktemp("shop")
    return [train(name, shop_data(), folder) for name in ("popularity", "item-knn", "ease", "ials")]


def open_shop(paths: list[Path], folder: Path) -> SiteClient:
    """A visitor of a site of products, whose database is in a folder."""
    return SiteClient(
        create_app(
            paths,
            db_url=f"sqlite:///{folder}/site.db",
            clock=lambda: NOW,
            hasher=CHEAP,
            options=SiteOptions(noun="product"),
        )
    )
