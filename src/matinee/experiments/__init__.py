"""Experiments on a site's visitors: who gets which model, and what came of it."""
