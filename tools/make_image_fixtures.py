#!/usr/bin/env python3
"""Writes small pictures in every format that Phial reads, and beside each the pixels that Pillow finds in it.

    python tools/make_image_fixtures.py testdata/images

NAME.png and the like are the pictures, NAME.EXTENSION.ppm their pixels (ImageOps.exif_transpose, then convert("RGB")).
Needs Pillow with WebP and numpy.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 23, 14


def drawn():
    """A picture whose corners, rows and columns all differ."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([x * 11, y * 18, (x * y * 5 + 40 * (x > 9)) % 256], -1).astype(np.uint8)
    return Image.fromarray(rgb)


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def write_all(folder):
    picture = drawn()
    palette = picture.quantize(16)
    clear = picture.copy()
    clear.putalpha(Image.fromarray((np.mgrid[0:HEIGHT, 0:WIDTH][1] * 11).astype(np.uint8)))
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 257

    picture.save(folder / "plain.png")
    clear.save(folder / "alpha.png")
    palette.save(folder / "palette.png", transparency=3)
    picture.convert("1").save(folder / "one_bit.png")
    picture.convert("LA").save(folder / "grey_alpha.png")
    picture.save(folder / "turned.png", exif=exif(6))
    for orientation in range(1, 9):
        picture.save(folder / f"turned_{orientation}.jpg", quality=95, exif=exif(orientation))
    picture.save(folder / "progressive.jpg", progressive=True, quality=80)
    picture.convert("L").save(folder / "grey.jpg")
    picture.convert("CMYK").save(folder / "inks.jpg", quality=95)
    picture.save(folder / "lossy.webp", quality=60)
    clear.save(folder / "lossless.webp", lossless=True, exact=True)
    picture.save(folder / "turned.webp", lossless=True, exif=exif(8))
    picture.save(folder / "moving.webp", lossless=True, save_all=True, append_images=[ImageOps.invert(picture)])
    palette.save(folder / "plain.gif", interlace=0)
    palette.save(folder / "interlaced.gif", interlace=1)
    palette.save(folder / "moving.gif", save_all=True, append_images=[ImageOps.invert(picture).quantize(16)])
    palette.save(folder / "transparent.gif", transparency=2)
    Image.fromarray(deep).save(folder / "deep.png")


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_all(folder)
    for path in sorted(folder.iterdir()):
        if path.suffix == ".ppm":
            continue
        image = ImageOps.exif_transpose(Image.open(path))
        # Pillow clips 16-bit grey instead of scaling it; what is wanted is its upper byte.
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
        image.convert("RGB").save(folder / f"{path.name}.ppm")


if __name__ == "__main__":
    main()
