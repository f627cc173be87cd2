"""Versions of a site's models: numbered folders in a registry, one of which serves."""

from matinee.store.versions.registry import Pointer, Registry, Version

__all__ = ["Pointer", "Registry", "Version"]
