"""Safetensors files: the system's error arrives as itself, and only what the header says is mapped."""

import errno
import resource
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from matinee.tensors import read_arrays, write_arrays


def test_what_is_written_the_library_reads(tmp_path: Path) -> None:
    arrays = {"square": np.arange(6.0).reshape(2, 3).T, "one": np.array(3, dtype=np.int64), "none": np.zeros((0, 4))}
    write_arrays(tmp_path / "x", arrays, {"about": "nothing"})
    for found in (load_file(tmp_path / "x"), read_arrays(tmp_path / "x")):
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].shape == array.shape


def test_a_full_disk_is_the_systems_own_error(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            write_arrays(tmp_path / "x", {"large": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.errno == errno.EFBIG
    with pytest.raises(OSError, match="No such file"):
        write_arrays(tmp_path / "nowhere" / "x", {"small": np.zeros(1)})
