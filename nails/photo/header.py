"""The header of a photo file, read without decoding a pixel.

Refusals happen here: a 40,000 x 40,000 header costs nothing, because size, frames and bit depth are read
from the container's own fields. Walks over a file are bounded in steps as well as in bytes, so that a file
made of millions of tiny blocks is refused instead of walked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Format = Literal["JPEG", "PNG", "WEBP", "GIF"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_BLOCKS = 300_000  # full 255-byte GIF blocks reach 76 MB before this stops a walk
_MAX_JPEG_SCANS = 200  # a progressive file has about ten; thousands are an attack on the decoder's time
# Start-of-frame markers that libjpeg decodes: baseline, extended, progressive, and their arithmetic forms.
_SOF_DECODABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_SOF_OTHER = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})

# (offset, magic, name) of image files that are recognised, named in the error, and refused.
_UNSUPPORTED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"8BPS", "PSD"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftyphev", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
)


class PhotoError(ValueError):
    """A photo that is refused, with a stable reason.

    Reasons: PHOTO_EMPTY, PHOTO_NOT_AN_IMAGE, PHOTO_FORMAT_UNSUPPORTED, PHOTO_CORRUPT, PHOTO_TOO_MANY_BYTES,
    PHOTO_TOO_MANY_PIXELS, PHOTO_TOO_SMALL, PHOTO_ANIMATED.
    """

    def __init__(self, reason: str, description: str) -> None:
        super().__init__(f"{reason}: {description}")
        self.reason = reason
        self.description = description


@dataclass(frozen=True)
class PhotoLimits:
    """Limits that are checked before decoding: bytes of the file, pixels, longest and shortest side."""

    max_bytes: int = 30 * 2**20
    max_pixels: int = 60_000_000
    max_side: int = 16_384
    min_side: int = 16


@dataclass(frozen=True)
class PhotoHeader:
    """The fields of a photo's header.

    `width` and `height` are as stored, before the EXIF orientation (1 to 8) is applied; `bits` is the depth
    of one channel; `components` the number of stored channels where the container has it, else 0.
    """

    format: Format
    width: int
    height: int
    frames: int = 1
    orientation: int = 1
    bits: int = 8
    components: int = 0

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after the EXIF orientation is applied."""
        swapped = self.orientation >= 5
        return (self.height, self.width) if swapped else (self.width, self.height)


def read_header(data: bytes, limits: PhotoLimits | None = None) -> PhotoHeader:
    """Read and check a photo's header; nothing is decoded.

    Raises PhotoError for everything that the limits or the list of formats refuse.
    """
    limits = limits or PhotoLimits()
    if not data:
        raise PhotoError("PHOTO_EMPTY", "the photo has no bytes")
    if len(data) > limits.max_bytes:
        raise PhotoError(
            "PHOTO_TOO_MANY_BYTES", f"{len(data)} bytes are more than the {limits.max_bytes} allowed"
        )
    try:
        header = _parse(data)
    except (struct.error, IndexError):
        raise PhotoError("PHOTO_CORRUPT", "the header is cut off") from None
    _check_limits(header, limits)
    return header


def _check_limits(header: PhotoHeader, limits: PhotoLimits) -> None:
    width, height = header.width, header.height
    # Size first: it also bounds what the other checks would cost a decoder.
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise PhotoError(
            "PHOTO_TOO_MANY_PIXELS",
            f"{width} x {height} is more than {limits.max_pixels} pixels or {limits.max_side} a side",
        )
    if header.frames > 1:
        raise PhotoError("PHOTO_ANIMATED", "the file has several frames; one photo is needed")
    if min(width, height) < limits.min_side:
        raise PhotoError(
            "PHOTO_TOO_SMALL", f"{width} x {height} is smaller than {limits.min_side} pixels a side"
        )


def _parse(data: bytes) -> PhotoHeader:
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg(data)
    if data[:8] == _PNG_SIGNATURE:
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(data)
    for offset, magic, name in _UNSUPPORTED:
        if data[offset : offset + len(magic)] == magic:
            raise PhotoError("PHOTO_FORMAT_UNSUPPORTED", f"{name} is not accepted; send JPEG, PNG or WebP")
    if (data[:2] == b"\xff\xd8" and len(data) < 4) or _PNG_SIGNATURE.startswith(data[:8]):
        raise PhotoError("PHOTO_CORRUPT", "the file ends within its signature")
    raise PhotoError("PHOTO_NOT_AN_IMAGE", "the bytes are no JPEG, PNG, WebP or GIF file")


def _jpeg(data: bytes) -> PhotoHeader:
    position, orientation = 2, 1
    frame: PhotoHeader | None = None
    progressive = False
    for _ in range(10_000):
        if data[position] != 0xFF:
            raise PhotoError("PHOTO_CORRUPT", "a JPEG marker is missing")
        while data[position] == 0xFF:  # fill bytes may precede a marker
            position += 1
        marker = data[position]
        position += 1
        if marker == 0xDA and frame is not None:
            # A sequential file whose first scan has every component holds no other that libjpeg would read.
            if progressive or data[position + 2] < frame.components:
                _check_scans(data)
            return replace(frame, orientation=orientation)
        if marker in (0xD9, 0xDA):
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue  # markers without a payload
        (length,) = struct.unpack_from(">H", data, position)
        if length < 2:
            raise PhotoError("PHOTO_CORRUPT", "a JPEG segment has an impossible length")
        payload = position + 2
        if marker == 0xE1 and data[payload : payload + 6] == b"Exif\x00\x00":
            orientation = exif_orientation(data[payload + 6 : position + length])
        elif marker in _SOF_OTHER:
            raise PhotoError("PHOTO_FORMAT_UNSUPPORTED", "lossless and hierarchical JPEG are not accepted")
        elif marker in _SOF_DECODABLE:
            frame = _jpeg_frame(data, payload)
            progressive = marker in (0xC2, 0xCA)
        position += length
    raise PhotoError("PHOTO_CORRUPT", "the JPEG has no frame header or no scan")


def _jpeg_frame(data: bytes, payload: int) -> PhotoHeader:
    """The frame header at `payload`, not yet turned upright."""
    bits, height, width, components = struct.unpack_from(">BHHB", data, payload)
    if bits != 8:
        raise PhotoError("PHOTO_FORMAT_UNSUPPORTED", f"{bits}-bit JPEG is not accepted")
    if width == 0 or height == 0:
        raise PhotoError("PHOTO_CORRUPT", "the JPEG header gives no size")
    return PhotoHeader("JPEG", width, height, 1, 1, bits, components)


def _check_scans(data: bytes) -> None:
    """Raises PhotoError for a JPEG of too many scans."""
    # Inside entropy-coded data 0xFF is always escaped, so this counts real scans (and those of an embedded
    # thumbnail).
    if data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
        raise PhotoError("PHOTO_CORRUPT", f"the JPEG has more than {_MAX_JPEG_SCANS} scans")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG: (type, offset of the payload, length). Raises PhotoError where it is cut off."""
    position = len(_PNG_SIGNATURE)
    for _ in range(_MAX_BLOCKS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        if length > 0x7FFFFFFF:
            raise PhotoError("PHOTO_CORRUPT", "a PNG chunk has an impossible length")
        yield kind, position + 8, length
        if kind == b"IEND":
            return
        position += 12 + length
    raise PhotoError("PHOTO_CORRUPT", "the PNG has too many chunks")


def _png(data: bytes) -> PhotoHeader:
    width, height, bits, color_type = struct.unpack_from(">II2B", data, 16)
    if data[12:16] != b"IHDR" or not width or not height or bits not in (1, 2, 4, 8, 16):
        raise PhotoError("PHOTO_CORRUPT", "the PNG header is not valid")
    components = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color_type)
    if components is None:
        raise PhotoError("PHOTO_CORRUPT", "the PNG header is not valid")
    frames, orientation = 1, 1
    for kind, offset, length in png_chunks(data):
        if kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, offset)
        elif kind == b"eXIf":
            orientation = exif_orientation(data[offset : offset + length])
    return PhotoHeader("PNG", width, height, max(frames, 1), orientation, bits, components)


def _webp(data: bytes) -> PhotoHeader:
    size: tuple[int, int] | None = None
    frames, orientation, alpha = 0, 1, False
    position = 12
    for _ in range(_MAX_BLOCKS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        payload = position + 8
        if kind == b"VP8X":
            size = (_u24(data, payload + 4) + 1, _u24(data, payload + 7) + 1)
            alpha = bool(data[payload] & 0x10)
        elif kind == b"VP8 " and size is None:
            if data[payload + 3 : payload + 6] != b"\x9d\x01\x2a":
                raise PhotoError("PHOTO_CORRUPT", "the WebP frame header is not valid")
            width, height = struct.unpack_from("<HH", data, payload + 6)
            size = (width & 0x3FFF, height & 0x3FFF)
        elif kind == b"VP8L" and size is None:
            if data[payload] != 0x2F:
                raise PhotoError("PHOTO_CORRUPT", "the WebP frame header is not valid")
            (packed,) = struct.unpack_from("<I", data, payload + 1)
            size = ((packed & 0x3FFF) + 1, ((packed >> 14) & 0x3FFF) + 1)
            alpha = bool(packed >> 28 & 1)
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            block = data[payload : payload + length]
            orientation = exif_orientation(block.removeprefix(b"Exif\x00\x00"))
        position = payload + length + (length & 1)
    if size is None or 0 in size:
        raise PhotoError("PHOTO_CORRUPT", "the WebP file has no frame")
    return PhotoHeader("WEBP", size[0], size[1], max(frames, 1), orientation, 8, 4 if alpha else 3)


def _u24(data: bytes, position: int) -> int:
    return data[position] | data[position + 1] << 8 | data[position + 2] << 16


def _gif(data: bytes) -> PhotoHeader:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    if not width or not height:
        raise PhotoError("PHOTO_CORRUPT", "the GIF header gives no size")
    position = 13 + _colour_table_bytes(flags)
    frames = 0
    for _ in range(_MAX_BLOCKS):
        # A file that ends between blocks is refused by the decoder; here only frames are counted.
        if position >= len(data) or data[position] == 0x3B or frames > 1:
            return PhotoHeader("GIF", width, height, max(frames, 1), 1, 8, 1)
        kind = data[position]
        if kind == 0x2C:
            frames += 1
            position += 10 + _colour_table_bytes(data[position + 9]) + 1
        elif kind == 0x21:
            position += 2
        else:
            raise PhotoError("PHOTO_CORRUPT", "the GIF has an unknown block")
        position = _skip_sub_blocks(data, position)
    raise PhotoError("PHOTO_CORRUPT", "the GIF has too many blocks")


def _colour_table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int) -> int:
    for _ in range(_MAX_BLOCKS):
        if position >= len(data):
            return position
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
    raise PhotoError("PHOTO_CORRUPT", "the GIF has too many blocks")


def exif_orientation(tiff: bytes) -> int:
    """Orientation (tag 0x0112 of IFD0) of a TIFF-structured EXIF block; 1 where it is absent or nonsense.

    EXIF is decoration: a broken block never makes a photo unreadable.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        magic, offset = struct.unpack_from(order + "HI", tiff, 2)
        if magic != 42:
            return 1
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(min(count, 512)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * entry)
            if tag == 0x0112 and kind == 3:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
