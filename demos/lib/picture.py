# SPDX-License-Identifier: MIT
"""Pictures: reads PPM and PNG, writes PNG, and says what is on them."""

import collections
import itertools
import struct
import zlib

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


class PictureError(Exception):
    """The file is no picture that can be read, or not all of it is there yet."""


class Picture:
    """Rows of RGB bytes."""

    def __init__(self, width, height, rgb):
        if len(rgb) != width * height * 3:
            raise PictureError(f"{len(rgb)} bytes are not {width}x{height} pixels")
        self.width, self.height, self.rgb = width, height, bytes(rgb)

    def __str__(self):
        return f"{self.width}x{self.height}"

    def pixel(self, x, y):
        at = (y * self.width + x) * 3
        return tuple(self.rgb[at : at + 3])

    def colours(self):
        """A Counter of the (r, g, b) of all pixels."""
        return collections.Counter(zip(self.rgb[0::3], self.rgb[1::3], self.rgb[2::3]))

    def drawn(self):
        """The part of the pixels that have not the commonest colour: 0 is blank."""
        return 1 - max(self.colours().values()) / (self.width * self.height)

    def changed(self, other):
        """The part of the pixels that differ from those of another picture."""
        if other is None or (self.width, self.height) != (other.width, other.height):
            return 1.0
        if self.rgb == other.rgb:
            return 0.0
        pixels = zip(*(p.rgb[c::3] for p in (self, other) for c in range(3)))
        same = sum(1 for a, b, c, d, e, f in pixels if a == d and b == e and c == f)
        return 1 - same / (self.width * self.height)

    def write_png(self, path):
        stride = self.width * 3
        rows = (self.rgb[y * stride : (y + 1) * stride] for y in range(self.height))
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        data = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
        with open(path, "wb") as file:
            file.write(PNG_MAGIC)
            for kind, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")):
                file.write(struct.pack(">I", len(body)) + kind + body)
                file.write(struct.pack(">I", zlib.crc32(kind + body)))


def read(path):
    """The picture in a PNG or a binary PPM file."""
    with open(path, "rb") as file:
        data = file.read()
    return _read_png(data) if data.startswith(PNG_MAGIC) else _read_ppm(data)


def _read_ppm(data):
    fields = data.split(None, 3)
    if len(fields) < 4 or fields[0] != b"P6":
        raise PictureError("neither PNG nor binary PPM")
    width, height = int(fields[1]), int(fields[2])
    return Picture(width, height, data[len(data) - width * height * 3 :])


def _chunks(data):
    at = len(PNG_MAGIC)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += size + 12


def _read_png(data):
    chunks = list(_chunks(data))
    if not chunks or chunks[-1][0] != b"IEND":
        raise PictureError("the PNG is cut off")
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if depth != 8 or kind not in CHANNELS or interlaced:
        raise PictureError(f"PNG with depth {depth}, colour type {kind}: not read here")
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    rows = _unfilter(zlib.decompress(packed), width, height, CHANNELS[kind])
    return Picture(width, height, b"".join(_to_rgb(row, CHANNELS[kind]) for row in rows))


def _to_rgb(row, channels):
    if channels == 3:
        return row
    colour = (0, 1, 2) if channels == 4 else (0, 0, 0)
    rgb = bytearray(len(row) // channels * 3)
    for to, source in enumerate(colour):
        rgb[to::3] = row[source::channels]
    return bytes(rgb)


def _unfilter(data, width, height, channels):
    stride = width * channels
    above = bytes(stride)
    for y in range(height):
        start = y * (stride + 1)
        above = FILTERS[data[start]](data[start + 1 : start + 1 + stride], above, channels)
        yield above


def _plain(row, _above, _channels):
    return row


def _sub(row, _above, channels):
    out = bytearray(len(row))
    for c in range(channels):
        out[c::channels] = bytes(x & 255 for x in itertools.accumulate(row[c::channels]))
    return bytes(out)


def _up(row, above, _channels):
    return bytes((a + b) & 255 for a, b in zip(row, above))


def _average(row, above, channels):
    out = bytearray(len(row))
    for i, x in enumerate(row):
        left = out[i - channels] if i >= channels else 0
        out[i] = (x + ((left + above[i]) >> 1)) & 255
    return bytes(out)


def _paeth(row, above, channels):
    out = bytearray(len(row))
    for i, x in enumerate(row):
        left, corner = (out[i - channels], above[i - channels]) if i >= channels else (0, 0)
        up = above[i]
        far = left + up - corner
        to_left, to_up, to_corner = abs(far - left), abs(far - up), abs(far - corner)
        if to_left <= to_up and to_left <= to_corner:
            out[i] = (x + left) & 255
        else:
            out[i] = (x + (up if to_up <= to_corner else corner)) & 255
    return bytes(out)


FILTERS = (_plain, _sub, _up, _average, _paeth)
