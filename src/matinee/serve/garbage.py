"""The garbage collector of a process that serves: what lives as long as the process is not looked through again.

A site has some 300,000 objects from its start on. To look through all of them takes 160 ms, in which no request is
answered and none refused; Python did so each few hundred lists.
"""

import gc


def keep_for_good() -> None:
    """Collect what is garbage now, and leave the rest out of later collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def keep_again() -> None:
    """After a large change, such as another version: what it replaced is collected, if `keep_for_good` was called."""
    if gc.get_freeze_count():
        keep_for_good()
