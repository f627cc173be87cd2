"""The arms of an experiment of versions: each is a whole site over one version, beside the one for everyone else."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from starlette.datastructures import State

from matinee.experiments.plan import Plan
from matinee.histories import UserId
from matinee.serve.live_items import LiveItems
from matinee.serve.live_meaning import LiveMeaning
from matinee.serve.pages.resources import PageResources
from matinee.serve.renewal import parts_of_site, renew
from matinee.serve.site import Site
from matinee.serve.versions import ServedVersion
from matinee.store.artefact import Artefact
from matinee.store.compatible import require_compatible
from matinee.store.live_items import SqlLiveItems


@dataclass(frozen=True, slots=True)
class Arm:
    """A version that serves the visitors of an arm. state: has its site and its resources."""

    state: State
    live: LiveItems


class Arms:
    """The sites of an experiment whose arms are versions of a registry.

    They share the database and all that is counted with the site of everyone else, and stay at their versions, whatever
    is promoted. Nobody removes these from the registry until `close`.
    Raises MatineeError for a version that is missing, damaged or of another catalogue than the one that serves.
    """

    def __init__(self, plan: Plan, version: ServedVersion, everyone: PageResources) -> None:
        self._plan, self._held = plan, ExitStack()
        try:
            self._arms = {arm: self._open(arm, number, version, everyone) for arm, number in plan.versions.items()}
        except BaseException:
            self.close()
            raise

    @property
    def sites(self) -> Sequence[Site]:
        """The sites as they are now."""
        return [arm.state.site for arm in self._arms.values()]

    def resources_of(self, user_id: UserId) -> PageResources | None:
        """What serves a user; None outside of the experiment."""
        arm = self._plan.arm_of(user_id)
        found: PageResources | None = None if arm is None else self._arms[arm].state.resources
        return found

    def start(self) -> None:
        """Begin what runs in the background."""
        for site in self.sites:
            site.meaning.start(next(iter(site.engine.artefacts.values())))

    def follow(self) -> None:
        """Show the catalogue as the database has it, if that changed since the last call, and note what is served."""
        for arm in self._arms.values():
            arm.live.follow()
            arm.state.site.note_state()

    def close(self) -> None:
        """End what runs in the background; the versions may be removed."""
        for site in self.sites if hasattr(self, "_arms") else ():
            site.meaning.stop()
        self._held.close()

    def _open(self, arm: str, number: int, version: ServedVersion, everyone: PageResources) -> Arm:
        self._held.enter_context(version.registry.held(number))
        artefacts = self._load(number, version)
        site, state = everyone.site, State()
        parts = parts_of_site(artefacts, site.database, site.wording, artefacts[0].name, indexes=site.engine.indexes)
        state.site = replace(site, **parts, arm=arm, meaning=LiveMeaning(), left_out=())
        state.site.importer.lock = site.importer.lock  # one import at a time
        state.resources = replace(PageResources.of(state.site), import_limit=everyone.import_limit)
        live = LiveItems(artefacts, SqlLiveItems(site.database), partial(renew, state))
        live.follow()
        return Arm(state, live)

    def _load(self, number: int, version: ServedVersion) -> Sequence[Artefact]:
        if number == version.number:
            return version.artefacts  # in memory once
        artefacts = version.registry.load(number)
        require_compatible(artefacts[0], version.artefacts[0], number, version.number)
        return artefacts


def arms_of(plan: Plan | None, version: ServedVersion | None, everyone: PageResources) -> Arms | None:
    """The arms of an experiment of versions; None without one. Raises as Arms, and UsageError without a registry."""
    if plan is None or not plan.is_of_versions:
        return None
    plan.require_registry(version is not None)
    return Arms(plan, version, everyone) if version is not None else None
