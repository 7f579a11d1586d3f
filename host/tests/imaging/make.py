"""Pictures as Pillow makes them, for host/src/imaging: other sizes, masks, fills and overlays. Needs
Pillow 10 or later and numpy; writes the PNGs of this folder."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

HERE = Path(__file__).parent
WIDTH, HEIGHT = 40, 28


def picture():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    channels = [(x * 7 + y * 3) % 256, (x * x + 5 * y) % 256, (x * y + 40) % 256]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def mask():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = (x >= 12) & (x < 27) & (y >= 8) & (y < 20)
    return Image.fromarray(np.where(inside, 255 - (x * 5) % 60, 0).astype(np.uint8))


def fit(im, width, height, fill):
    """Crop and resize, or resize and fill."""
    wider = width * im.height > im.width * height
    if wider != fill:
        inner = width, im.height * width // im.width
    else:
        inner = im.width * height // im.height, height
    inner = im.resize(inner, Image.LANCZOS)
    left, top = width // 2 - inner.width // 2, height // 2 - inner.height // 2
    out = Image.new("RGB", (width, height))
    out.paste(inner, (left, top))
    if fill and wider and left > 0:
        for edge, at in ((0, 0), (inner.width, left + inner.width)):
            out.paste(inner.resize((left, height), box=(edge, 0, edge, height)), (at, 0))
    if fill and not wider and top > 0:
        for edge, at in ((0, 0), (inner.height, top + inner.height)):
            out.paste(inner.resize((width, top), box=(0, edge, width, edge)), (0, at))
    return out


def blur(im, x, y):
    """OpenCV's Gaussian of A1111's size."""
    values = np.array(im).astype(np.float64)
    for axis, sigma in ((1, x), (0, y)):
        if sigma:
            reach = int(2.5 * sigma + 0.5)
            kernel = np.exp(-np.arange(-reach, reach + 1) ** 2 / (2 * sigma**2))
            pads = [(0, 0), (0, 0)]
            pads[axis] = (reach, reach)
            padded = np.pad(values, pads, mode="reflect")
            values = np.apply_along_axis(np.convolve, axis, padded, kernel / kernel.sum(), "valid").round()
    return Image.fromarray(values.astype(np.uint8))


def cut_out(im, mask):
    out = Image.new("RGBa", im.size)
    out.paste(im.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
    return out


def fill(im, mask):
    out, rest = Image.new("RGBA", im.size), cut_out(im, mask)
    for radius, times in ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)):
        layer = rest.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            out.alpha_composite(layer)
    return out.convert("RGB")


def main():
    im, m = picture(), mask()
    soft = blur(m, 4, 2)
    drawn = ImageOps.invert(im).convert("RGBA")
    drawn.alpha_composite(cut_out(im, soft).convert("RGBA"))
    made = {
        "picture": im, "mask": m, "soft": soft, "filled": fill(im, soft), "over": drawn.convert("RGB"),
        "up": im.resize((64, 48), Image.LANCZOS), "down": im.resize((16, 24), Image.LANCZOS),
        "mask-small": soft.resize((8, 6)),
        "crop-wide": fit(im, 64, 32, False), "crop-tall": fit(im, 24, 48, False),
        "fill-wide": fit(im, 64, 32, True), "fill-tall": fit(im, 24, 48, True),
    }
    for name, image in made.items():
        image.save(HERE / f"{name}.png")


main()
