"""Run benchmarks one after another, each on one core with one thread, and keep their JSON beside them.

    python benchmarks/run.py [NAME ...]      without names: all

Nothing else should be running: compare within a run, and quote ratios.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
FORCED_KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Settings that make BLAS slower than the machine is."""


def main() -> None:
    names = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run")
    environment = {key: value for key, value in os.environ.items() if key not in FORCED_KERNELS} | ONE_THREAD
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    failed = []
    for name in names:
        print(f"{name} ...", flush=True)
        started = time.perf_counter()
        command = [*pin, sys.executable, str(HERE / f"{name}.py")]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            failed.append(name)
            print(f"{name} failed", flush=True)
            continue
        (HERE / f"{name}.json").write_text(json.dumps(json.loads(done.stdout), indent=2) + "\n", encoding="utf-8")
        print(f"{name} took {time.perf_counter() - started:.0f} s; figures in {name}.json", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
