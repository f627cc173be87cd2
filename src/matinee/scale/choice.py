"""Which runner the options `--workers` and `--on` ask for."""

from matinee.errors import UsageError
from matinee.scale.runner import Here, Runner


def runner_of(workers: int | None = None, on: str | None = None) -> Runner:
    """The runner that `--workers` or `--on` asks for; by default this process with the threads of the machine.

    Every worker uses one thread, also the one worker of `--workers 1`, so that the results do not depend on how many
    there are. Raises UsageError for both at once or less than one worker, and MatineeError as RayCluster.
    """
    if on is not None:
        if workers is not None:
            raise UsageError("--workers and --on were both given: a cluster has the workers of its nodes; give one")
        from matinee.scale.cluster import RayCluster

        return RayCluster(on)
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: at least one worker must run")
    if workers is None or workers == 1:
        return Here(workers)
    from matinee.scale.local import Processes

    return Processes(workers)
