"""Pictures in files: found, named, read with all that belongs to them, made, and written whole or not at all."""

from resample.files.settings import Settings

__all__ = ["Settings"]
