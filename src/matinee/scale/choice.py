"""Which runner a user's choice of workers means."""

from matinee.errors import UsageError
from matinee.scale.runner import Here, Runner


def runner_of(workers: int | str | None = None) -> Runner:
    """The runner of so many processes, or of the Ray cluster at an address; None: this process with all its threads.

    Every worker uses one thread, also the one worker of `--workers 1`, so that the results do not depend on how many
    there are. Raises UsageError for less than one worker, and as RayCluster.
    """
    require_workers(workers)
    if isinstance(workers, str):
        from matinee.scale.cluster import RayCluster

        return RayCluster(workers)
    if workers is None or workers == 1:
        return Here(workers)
    from matinee.scale.local import Processes

    return Processes(workers)


def require_workers(workers: int | str | None) -> None:
    """Raises UsageError for less than one worker, or an address that is none, whether or not a cluster is there."""
    if isinstance(workers, str):
        from matinee.scale.cluster import parse_address

        parse_address(workers)
    elif workers is not None and workers < 1:
        raise UsageError(f"workers = {workers}: at least one worker must run")
