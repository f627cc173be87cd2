"""Matinee: from a log of who watched what to an honest comparison of models and a live movie site."""

__version__ = "0.1.0"
