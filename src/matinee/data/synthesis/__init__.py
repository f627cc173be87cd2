"""Synthetic logs of any size in the shape of a real one."""
