"""Compiled loops. Nothing here knows of modes, filters or conventions, and nothing outside imports numba."""
