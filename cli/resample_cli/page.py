"""A page on which a divider wipes between two results: one file with all that it needs."""

from __future__ import annotations

import base64
import io
import json
from importlib.resources import files

from PIL import Image

from resample_cli.variants import Comparison


def page(comparison: Comparison) -> str:
    """Return the page: compare.html with the comparison as JSON at its one mark, in ASCII."""
    shown = {
        "name": comparison.name,
        "sizes": comparison.sizes(),
        "size": comparison.size,
        "whole": not comparison.is_of_a_part,
        "reference": comparison.reference,
        "variants": [
            {"mode": variant.mode, "details": variant.details, "command": line, "source": _embedded(result)}
            for variant, line, result in zip(comparison.variants, comparison.commands, comparison.results, strict=True)
        ],
    }
    # within a script element nothing but "</" and "<!--" has a meaning
    data = json.dumps(shown).replace("<", "\\u003c")
    return files("resample_cli").joinpath("compare.html").read_text("utf-8").replace("@DATA@", data)


def _embedded(image: Image.Image) -> str:
    encoded = io.BytesIO()
    image.save(encoded, "PNG", compress_level=4)  # as other PNG files that are written
    return f"data:image/png;base64,{base64.b64encode(encoded.getvalue()).decode()}"
