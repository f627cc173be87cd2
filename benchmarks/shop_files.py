"""A shop of 5,000 products as two files of its own: products.csv and log.csv.

    python benchmarks/shop_files.py FOLDER [--products 5000] [--customers 800] [--seed 1]
    matinee train ease --data FOLDER/log.csv --items FOLDER/products.csv --out artefacts/ease
    matinee serve artefacts/ease

Most products were never bought. Three columns are odd, as those of real shops are: prices with a euro sign, colours
with `;` between, and a shelf mark that means nothing to anybody else. Customers prefer two of the categories and one
of the brands, so that the models have something to find.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

THINGS = {
    "Kitchen": ("kettle", "pan", "whisk", "knife", "bowl", "grater", "jug", "tray"),
    "Garden": ("rake", "hose", "trowel", "planter", "lantern", "shears", "bench", "barrow"),
    "Office": ("lamp", "notebook", "stapler", "chair", "shelf", "pencil", "folder", "stand"),
    "Sport": ("racket", "mat", "rope", "bottle", "glove", "whistle", "helmet", "bag"),
    "Nursery": ("rattle", "blanket", "cot", "mobile", "puzzle", "cup", "bib", "toy box"),
}
MATERIALS = ("copper", "oak", "enamel", "linen", "steel", "glass", "cork", "wool", "bamboo", "leather")
BRANDS = ("Alder & Sons", "Brook", "Cinder", "Dovetail", "Elm Street", "Fennel", "Gable", "Hearth")
COLOURS = ("red", "blue", "green", "grey", "white", "black", "natural")
USES = ("every day", "large families", "small flats", "travel", "a present", "long winters", "children", "beginners")
START, DAY = 1_740_000_000, 86_400
KINDS, SHARES = ("view", "basket", "purchase"), (0.7, 0.1, 0.2)


def products(n: int, rng: np.random.Generator) -> list[dict[str, str]]:
    """N products, each with a category, a brand, a price and words that fit them."""
    rows = []
    for number in range(n):
        category = list(THINGS)[rng.integers(len(THINGS))]
        thing, material, brand = (rng.choice(words) for words in (THINGS[category], MATERIALS, BRANDS))
        use, other = rng.choice(USES, 2, replace=False)
        colours = rng.choice(COLOURS, rng.integers(1, 4), replace=False)
        rows.append(
            {
                "product_id": f"P{number:05}",
                "name": f"{material.capitalize()} {thing} no. {number}",
                "category": category,
                "description": f"A {thing} of {material} for {use}, by {brand}. Also good for {other}.",
                "brand": str(brand),
                "price": f"€ {rng.gamma(2, 20) + 1:.2f}",
                "colours": ";".join(colours),
                "image": f"https://shop.example/pictures/{number}.jpg" if rng.random() < 0.5 else "",
                "shelf mark": f"{rng.integers(1, 40)}-{'ABCDEF'[rng.integers(6)]}",
            }
        )
    return rows


def log(rows: list[dict[str, str]], n_customers: int, rng: np.random.Generator) -> list[tuple[str, str, str, int]]:
    """What each customer viewed, put into the basket and bought, among the products that are sold at all."""
    sold = rng.choice(len(rows), len(rows) * 2 // 5, replace=False)
    popularity = 1 / np.arange(1, len(sold) + 1) ** 0.8
    categories = np.array([rows[index]["category"] for index in sold])
    brands = np.array([rows[index]["brand"] for index in sold])
    events = []
    for customer in range(n_customers):
        liked = rng.choice(list(THINGS), 2, replace=False)
        weights = popularity * np.where(np.isin(categories, liked), 1.0, 0.03)
        weights *= np.where(brands == rng.choice(BRANDS), 4.0, 1.0)
        n = min(int(rng.integers(8, 40)), len(sold))
        for index in rng.choice(len(sold), n, replace=False, p=weights / weights.sum()):
            when = START + int(rng.integers(0, 300 * DAY))
            events.append((f"C{customer:04}", rows[sold[index]]["product_id"], str(rng.choice(KINDS, p=SHARES)), when))
    return sorted(events, key=lambda event: event[-1])


def write(folder: Path, n_products: int = 5000, n_customers: int = 800, seed: int = 1) -> None:
    """Write both files of a shop."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = products(n_products, rng)
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "log.csv").open("w", encoding="utf-8", newline="") as file:
        plain = csv.writer(file)
        plain.writerow(["customer", "product_id", "action", "time"])
        plain.writerows(log(rows, n_customers, rng))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--products", type=int, default=5000)
    parser.add_argument("--customers", type=int, default=800)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write(given.folder, given.products, given.customers, given.seed)
