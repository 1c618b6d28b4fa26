"""Make the small files that come from the photographs beside this script: `python images/derive.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

HERE = Path(__file__).resolve().parent
ORIENTATION, DESCRIPTION = 0x0112, 0x010E


def srgb() -> bytes:
    """An sRGB profile with a fixed date, so that the file comes out the same each time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = b"".join(part.to_bytes(2, "big") for part in (2000, 1, 1, 0, 0, 0))
    return bytes(profile)


def ink(image: Image.Image) -> Image.Image:
    """CMYK with a real black plate; Pillow's own conversion leaves it empty."""
    colours = 1 - np.asarray(image, float) / 255
    black = 0.7 * colours.min(axis=-1, keepdims=True)
    plates = np.concatenate([(colours - black) / (1 - black), black], axis=-1)
    return Image.fromarray(np.round(plates * 255).astype(np.uint8), "CMYK")


def main() -> None:
    coffee = Image.open(HERE / "coffee.jpg")
    small = coffee.crop((130, 40, 490, 340)).resize((216, 180), Image.Resampling.LANCZOS)
    small.quantize(128).save(HERE / "palette.png", optimize=True)

    chelsea = Image.open(HERE / "chelsea.png")
    ink(chelsea.crop((100, 20, 340, 200))).save(HERE / "cmyk.jpg", quality=90)

    upright = Image.open(HERE / "astronaut.jpg").crop((160, 10, 280, 170))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[DESCRIPTION] = "An upright portrait of 120x160, stored on its side"
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    stored.save(HERE / "orientation6.jpg", quality=92, dpi=(300, 300), exif=exif, icc_profile=srgb())


if __name__ == "__main__":
    main()
