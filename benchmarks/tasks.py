"""Ten things that a new visitor wants of the site: how many clicks and keystrokes each takes. Prints one JSON object.

    python benchmarks/tasks.py                                      # a new site over the bundled data
    python benchmarks/tasks.py --address http://127.0.0.1:8000      # a site that runs, such as one of an older version

Each task begins on the home page of a new guest, with script, in a window of 1280 x 900; what it needs before (three
films rated) is not counted. A task takes the shortest way that this version's pages have: it looks for the control and
says null where there is none. `benchmarks/tasks.json` has the counts of an older version under `before`, added by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page

from walks import chromium, print_measured

RATED = ("2571", "1214", "260")
"""The Matrix, Alien, Star Wars."""
SETTLE_MS = 900
MOST_FILMS = 24
"""Films whose pages are opened in a search by hand."""


class Impossible(Exception):
    """There is no control for it."""


@dataclass(slots=True)
class Hand:
    """What a visitor does on a page, counted."""

    page: Page
    address: str
    clicks: int = 0
    keys: int = 0

    def click(self, target: Locator) -> None:
        """One click. Raises Impossible if the control is missing."""
        if not target.count():
            raise Impossible(str(target))
        target.first.scroll_into_view_if_needed()
        target.first.click()
        self.clicks += 1
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(SETTLE_MS)

    def type(self, target: Locator, text: str, *keys: str) -> None:
        """One click into a field, a keystroke for each letter and for each key after them."""
        self.click(target)
        self.page.keyboard.type(text, delay=20)
        self.page.wait_for_timeout(SETTLE_MS)
        for key in keys:
            self.page.keyboard.press(key)
        self.keys += len(text) + len(keys)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(SETTLE_MS)

    def rate_three(self) -> None:
        """What some tasks need first, not counted."""
        for item in RATED:
            self.page.goto(f"{self.address}/movie/{item}")
            self.page.locator('.yours button[value="5"]').first.click()
            self.page.wait_for_timeout(SETTLE_MS)
        self.page.goto(self.address)


def open_by_typing(hand: Hand, title: str, *texts: str) -> None:
    """Open the first film that one of some texts suggests, until its page has a title."""
    for text in texts:
        hand.type(hand.page.locator("#q"), text, "ArrowDown", "Enter")
        if title in hand.page.title():
            return
        hand.page.locator("#q").fill("")
    raise Impossible("not found")


def open_by_initials(hand: Hand) -> None:
    """Open "The Fellowship of the Ring", of which one knows the letters LOTR; else by the title's first words."""
    open_by_typing(hand, "Fellowship", "lotr", "lord of the rings f")


def open_a_famous_film(hand: Hand) -> None:
    """Open the first Star Wars, typing as little as needed."""
    open_by_typing(hand, "A New Hope", "star", "star wars")


def find_a_funny_film(hand: Hand) -> None:
    """Have a funny film from the eighties on the screen that is not about war."""
    page = hand.page
    if page.locator("#tonight summary").count():
        hand.click(page.locator("#tonight summary"))
        hand.click(page.locator('#tonight input[name="only"][value="Comedy"]'))
        hand.click(page.locator('#tonight input[name="never"][value="War"]'))
        hand.type(page.locator('#tonight input[name="first"]'), "1980")
        hand.type(page.locator('#tonight input[name="last"]'), "1989", "Enter")
        return
    hand.click(page.locator('#start button[value="4"]'))  # lists can be adjusted from the first rating on
    hand.click(page.locator("#rerank summary"))
    hand.click(page.get_by_label("Comedy"))
    hand.type(page.locator('#rerank input[name="from"]'), "1980", "Tab")
    hand.type(page.locator('#rerank input[name="to"]'), "1989", "Tab")
    for place in range(MOST_FILMS):  # cards name two genres: whether it is about war, its page says
        hand.click(page.locator("#for-you a.poster").nth(place))
        if "War" not in page.locator(".kicker").inner_text():
            return
        page.go_back()
        hand.clicks += 1
    raise Impossible("not among the first")


def rate_three_films(hand: Hand) -> None:
    """Rate three films that one knows."""
    for place in range(3):
        hand.click(hand.page.locator("#start [data-item]").nth(place).locator('button[value="4"]'))


def undo_a_rating(hand: Hand) -> None:
    """Rate a recommended film by mistake, and take it back (the mistake is not counted)."""
    hand.rate_three()
    item = hand.page.locator("#for-you [data-item]").nth(4).get_attribute("data-item")
    hand.click(hand.page.locator(f'#for-you [data-item="{item}"] button[value="4"]'))
    hand.clicks = 0
    undo = hand.page.locator(f'[data-item="{item}"] .undo')
    hand.click(undo if undo.count() else hand.page.locator(f'[data-item="{item}"] button[value="removed"]'))


def undo_not_interested(hand: Hand) -> None:
    """Hide a recommended film by mistake, and have it back (the mistake is not counted)."""
    hand.rate_three()
    card = hand.page.locator("#for-you [data-item]").nth(4)
    item = card.get_attribute("data-item")
    card.hover()
    hand.click(card.locator("button.hide"))
    hand.clicks = 0
    undo = hand.page.locator(f'[data-item="{item}"] .undo')
    if undo.count():
        hand.click(undo)
        return
    hand.click(hand.page.locator("#my-link"))
    hand.click(hand.page.locator(f'[data-item="{item}"] button[value="restored"]'))


def see_why(hand: Hand) -> None:
    """Learn why a recommended film is there, in numbers."""
    hand.rate_three()
    hand.click(hand.page.locator("#for-you .why"))
    if not hand.page.locator("#parts").count():
        raise Impossible("no reasons")


def keep_for_later(hand: Hand) -> None:
    """Keep a film for another evening, and open what is kept."""
    hand.rate_three()
    hand.click(hand.page.locator("#for-you .later"))
    hand.click(hand.page.locator("#my-link"))
    hand.click(hand.page.locator('a[href="/my/later"]'))
    if hand.page.locator("#for-later [data-item]").count() != 1:
        raise Impossible("not kept")


def never_horror(hand: Hand) -> None:
    """Have no horror film on the page, today and later."""
    hand.rate_three()
    hand.click(hand.page.locator("#tonight summary"))
    hand.click(hand.page.locator('#tonight input[name="never"][value="Horror"]'))
    hand.click(hand.page.locator("#tonight .actions button"))


def like_alien_but_lighter(hand: Hand) -> None:
    """Have films on the screen that are like Alien, but lighter."""
    hand.type(hand.page.locator("#q"), "alien", "ArrowDown", "Enter")
    hand.click(hand.page.locator('.mood-of button[name="lighter"]'))


TASKS: dict[str, Callable[[Hand], None]] = {
    "open The Fellowship of the Ring by its initials": open_by_initials,
    "open the first Star Wars": open_a_famous_film,
    "find a funny film from the eighties that is not about war": find_a_funny_film,
    "rate three films": rate_three_films,
    "undo a rating": undo_a_rating,
    "undo 'not interested'": undo_not_interested,
    "why is this here": see_why,
    "keep a film for later and find it again": keep_for_later,
    "never see horror": never_horror,
    "something like Alien, but lighter": like_alien_but_lighter,
}


def measure(address: str) -> dict[str, Any]:
    """Clicks and keystrokes of each task; None for one that the site cannot do."""
    found: dict[str, Any] = {}
    with chromium() as browser:
        for name, task in TASKS.items():
            context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
            hand = Hand(context.new_page(), address)
            hand.page.set_default_timeout(15_000)
            hand.page.goto(address)
            try:
                task(hand)
                found[name] = {"clicks": hand.clicks, "keys": hand.keys}
            except Impossible:
                found[name] = None
            context.close()
    return found


if __name__ == "__main__":
    print_measured(__doc__, measure)
