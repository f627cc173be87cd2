"""What lives as long as a serving process is left out of its garbage collections, and what is replaced is not."""

import subprocess
import sys

PROGRAM = """
import gc, weakref
from matinee.serve.garbage import keep_again, keep_for_good

class Version:
    def __init__(self):
        self.self = self

served = Version()
keep_again()
assert gc.get_freeze_count() == 0, "only a process that keeps for good does so again"
keep_for_good()
assert gc.get_freeze_count() > 1000
before, served = weakref.ref(served), Version()
gc.collect()
assert before() is not None
keep_again()
assert before() is None, "a version that was replaced is collected"
"""


def test_a_serving_process_looks_through_its_beginnings_once() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)  # not here: it is for the whole process
