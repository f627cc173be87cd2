"""What a site may be asked to do differently, beside its artefacts and its database."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from matinee.errors import UsageError
from matinee.experiments.plan import Plan
from matinee.extras import require
from matinee.nouns import Noun
from matinee.ranking.item_index import PURPOSE
from matinee.serve.http.addresses import Network, read_networks
from matinee.serve.http.cors import read_origins
from matinee.serve.http.hosts import read_hosts
from matinee.serve.http.root_path import read_root_path
from matinee.serve.own_fits.fits import OwnFitOptions
from matinee.store.database import DURABILITIES, Durability


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOptions:
    """Options of a site. Raises UsageError for impossible ones.

    allowed_hosts: names in the Host header that it answers for, beside addresses and localhost; `*` for any;
    cors_origins: of pages of other sites that may call the API from a browser; `*` for any, without cookies;
    root_path: of the site on its host, such as `/films`;
    rates: requests a minute of an `address`, a `visitor` and a `key`, where they differ from the defaults;
    guest_days: without an event, after which a guest is deleted; 0 for never;
    durability: `full`, or `normal`, of what people say; see `SqlDatabase`;
    noun: what items are called, as `Noun.parse` reads it, in place of the data's own;
    pictures: the folder of the files that a column of pictures names;
    registry: the folder of the versions that the site serves and follows, in place of artefacts;
    metrics_from: addresses and networks, with commas, that see `/metrics` without an API key;
    experiment: which visitors get the lists of which model;
    ann: whether lists of models with many items come from an approximate index;
    own_fits: how visitors of the lab may fit models with other settings, None if they may not;
    ticks: seconds of a clock that is never set back, for limits.
    """

    allowed_hosts: tuple[str, ...] = ("*",)
    cors_origins: tuple[str, ...] = ()
    root_path: str = ""
    rates: Mapping[str, int] = field(default_factory=dict)
    guest_days: int = 0
    durability: Durability = "full"
    noun: str | None = None
    pictures: Path | None = None
    registry: Path | None = None
    metrics_from: str = ""
    experiment: Plan | None = None
    own_fits: OwnFitOptions | None = None
    ann: bool = False
    ticks: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        if self.ann:
            require("faiss", PURPOSE)
        if self.durability not in DURABILITIES:
            raise UsageError(f"--durability {self.durability!r} is none of {', '.join(DURABILITIES)}")
        read_networks("--metrics-from", self.metrics_from)
        if self.noun:
            Noun.parse(self.noun)
        if self.pictures is not None and not self.pictures.is_dir():
            raise UsageError(f"--pictures {self.pictures} is no folder; give the one that holds the items' pictures")
        object.__setattr__(self, "allowed_hosts", tuple(read_hosts(self.allowed_hosts)))
        object.__setattr__(self, "cors_origins", read_origins(self.cors_origins))
        object.__setattr__(self, "root_path", read_root_path(self.root_path))

    @property
    def metrics_networks(self) -> list[Network]:
        """`metrics_from`, read."""
        return read_networks("--metrics-from", self.metrics_from)
