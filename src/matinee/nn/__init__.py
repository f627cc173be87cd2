"""Torch parts that several families of models share. Serving imports only `sparse_rows`, which is numpy."""
