"""Pictures written byte by byte: kinds that Pillow reads, but does not write."""

import struct
import zlib

import numpy as np

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by the number of channels


def png(voxels, *, interlaced_as=0, exif=b""):
    """voxels: uint16 or uint8 [H, W, 1 to 4 channels]; every row with another filter of the five."""
    height, width, channels = voxels.shape
    size = voxels.dtype.itemsize
    rows = voxels.astype(voxels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1).astype(int)
    head = struct.pack(">IIBBBBB", width, height, 8 * size, COLOUR_TYPES[channels], 0, 0, interlaced_as)
    lines = [_filtered(rows, number, number % 5, channels * size) for number in range(height)]
    body = zlib.compress(b"".join(lines))
    chunks = [(b"IHDR", head), *([(b"eXIf", exif)] if exif else []), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks))


def tiff(voxels, photometric, *, order="<", is_packed=False, sample_format=1, planes=1, orientation=1):
    """voxels: [H, W] or [H, W, channels], of any integer or float dtype; is_packed: by deflate."""
    height, width = voxels.shape[:2]
    channels = voxels[0, 0].size
    values = np.moveaxis(voxels, -1, 0) if planes == 2 else voxels
    data = np.ascontiguousarray(values).astype(voxels.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if is_packed else data
    bits = [8 * voxels.dtype.itemsize] * channels
    at = 8 + len(data)
    extra = struct.pack(f"{order}{channels}H", *bits) if channels > 2 else b""
    tags = {
        256: (4, width),
        257: (4, height),
        258: (3, bits[0]),
        259: (3, 8 if is_packed else 1),
        262: (3, photometric),
    }
    tags |= {273: (4, 8), 277: (3, channels), 278: (4, height), 279: (4, len(data)), 284: (3, planes)}
    tags |= {274: (3, orientation), 339: (3, sample_format)}
    entries = b""
    for tag, (kind, value) in sorted(tags.items()):
        if tag == 258 and extra:
            entries += struct.pack(order + "HHII", tag, 3, channels, at)
        else:
            entries += struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + "HI"[kind - 3], value).ljust(
                4, b"\0"
            )
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at + len(extra))
    return start + data + extra + struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0)


def _filtered(rows, number, kind, step):
    """A row, behind the number of its filter: none, left, above, their mean, Paeth's choice."""
    row = rows[number]
    above = rows[number - 1] if number else np.zeros_like(row)
    left, corner = (np.concatenate([np.zeros(step, int), one[:-step]]) for one in (row, above))
    guess = left + above - corner
    far = np.abs(guess - [left, above, corner])
    paeth = np.choose(far.argmin(axis=0), [left, above, corner])
    expected = (0 * row, left, above, (left + above) // 2, paeth)[kind]
    return bytes([kind]) + ((row - expected) % 256).astype(np.uint8).tobytes()


def _chunk(part):
    name, data = part
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
