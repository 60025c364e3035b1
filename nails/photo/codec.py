"""Photos as bytes to upright RGB arrays, and back.

A photo is accepted or refused by its header alone (`nails.photo.header`) before any decoder sees it. JPEG
goes through simplejpeg, the one decoder found to refuse truncated and bit-flipped files, scaled within the
DCT; everything else goes through Pillow (`python -m bench crop` compares them). Decoding holds at most about
12 bytes for each stored pixel, and 6 for JPEG.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from nails.photo.header import PhotoError, PhotoHeader, PhotoLimits, png_chunks, read_header

__all__ = [
    "PhotoError",
    "PhotoHeader",
    "PhotoLimits",
    "decode_photo",
    "encode_jpeg",
    "encode_png",
    "read_header",
]

# Only these reach the decoder; text, profiles and private chunks do not.
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Run lengths of differences to the row above: on photos as small as a full search, in a sixth of the time.
_PNG_SETTINGS = (
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
)
_FAST_SCALES = (8, 4, 2)  # libjpeg-turbo has vector code for 1/8, 1/4, 1/2 and full size, for no other


def decode_photo(
    data: bytes,
    *,
    max_side: int | None = None,
    enough_side: int | None = None,
    limits: PhotoLimits | None = None,
    header: PhotoHeader | None = None,
) -> NDArray[np.uint8]:
    """Decode a photo to RGB uint8 [H,W,3], upright (EXIF orientation applied).

    `max_side`: the long side is reduced to it (never enlarged); JPEG is then decoded at a DCT scale just
    above it. `enough_side`, at most `max_side`: a JPEG may come with any long side between the two, as it is
    cheapest. `header`: of these bytes, where `read_header` was called before. 16-bit channels are
    scaled to 8, alpha is laid over white, CMYK is converted.
    Raises PhotoError as `read_header` does, and with PHOTO_CORRUPT where decoding fails.
    """
    if max_side is not None and max_side < 1:
        raise ValueError("max_side must be at least 1")
    if enough_side is not None and (max_side is None or not 1 <= enough_side <= max_side):
        raise ValueError("enough_side must be between 1 and max_side")
    header = header or read_header(data, limits)
    max_side = _cheapest_side(header, enough_side, max_side) if enough_side is not None else max_side
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata; what matters raises
        if header.format == "JPEG" and header.components != 4:
            image = _decode_jpeg(data, header, max_side)
        else:
            image = _decode_with_pillow(data, header, max_side)
    image = _reduce(image, _target_size(header, max_side))
    return np.ascontiguousarray(_upright(image, header.orientation))


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """PNG of an RGB uint8 [H,W,3] or grey [H,W] image. Same pixels, same bytes."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else np.ascontiguousarray(image)
    done, encoded = cv2.imencode(".png", stored, _PNG_SETTINGS)
    if not done:
        raise ValueError(f"no PNG can be made of an array {image.shape}")
    return encoded.tobytes()


def encode_jpeg(image: NDArray[np.uint8], quality: int = 92) -> bytes:
    """JPEG (4:4:4: nails are small and their colour is the point) of an RGB uint8 [H,W,3] image."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling="444"
    )
    return encoded


def _target_size(header: PhotoHeader, max_side: int | None) -> tuple[int, int]:
    """(width, height) as stored, long side at most `max_side`."""
    long_side = max(header.width, header.height)
    if max_side is None or long_side <= max_side:
        return header.width, header.height
    scale = max_side / long_side
    return max(1, round(header.width * scale)), max(1, round(header.height * scale))


def _cheapest_side(header: PhotoHeader, enough_side: int, max_side: int | None) -> int | None:
    """The long side, between the two, that costs a JPEG least; other formats are not cheaper when smaller."""
    if header.format != "JPEG":
        return max_side
    long_side = max(header.width, header.height)
    for divisor in _FAST_SCALES:
        side = -(-long_side // divisor)  # libjpeg rounds up
        if side >= enough_side and (max_side is None or side <= max_side):
            return side
    return max_side


def _reduce(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if (image.shape[1], image.shape[0]) == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _decode_jpeg(data: bytes, header: PhotoHeader, max_side: int | None) -> NDArray[np.uint8]:
    wanted = _target_size(header, max_side)
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, colorspace="RGB", min_width=wanted[0], min_height=wanted[1], strict=True
        )
    except (ValueError, RuntimeError, MemoryError) as error:
        raise PhotoError("PHOTO_CORRUPT", f"the JPEG cannot be decoded: {error}") from None
    return pixels


def _decode_with_pillow(data: bytes, header: PhotoHeader, max_side: int | None) -> NDArray[np.uint8]:
    if header.format == "PNG":
        data = _check_png(data)
    wanted = _target_size(header, max_side)
    try:
        with Image.open(io.BytesIO(data), formats=[header.format]) as picture:
            if picture.size != (header.width, header.height):
                raise PhotoError("PHOTO_CORRUPT", "the file gives two different sizes")
            if header.format == "JPEG":
                picture.draft(picture.mode, wanted)
            picture.load()
            return _rgb(_reduce_by_box(picture, wanted))
    except PhotoError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, struct.error, zlib.error,
            Image.DecompressionBombError, MemoryError) as error:  # fmt: skip
        # The exceptions that Pillow's plugins raise for broken files.
        raise PhotoError("PHOTO_CORRUPT", f"the {header.format} cannot be decoded: {error}") from None


def _reduce_by_box(picture: Image.Image, wanted: tuple[int, int]) -> Image.Image:
    """Reduce by a whole factor before conversions, so that those do not hold several full-size copies."""
    factor = min(picture.width // wanted[0], picture.height // wanted[1])
    if factor < 2 or picture.mode not in ("L", "RGB", "RGBA", "LA", "CMYK"):
        return picture
    return picture.reduce(factor)


def _rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):  # 16-bit grey: 65535 is white
        grey = np.asarray(picture).astype(np.float32) / 257.0
        narrow = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
        return np.repeat(narrow[:, :, None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGB", picture.size, (255, 255, 255))
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def _check_png(data: bytes) -> bytes:
    """The PNG's picture chunks alone. Raises PhotoError where a checksum fails or the end is missing."""
    view = memoryview(data)
    kept: list[Any] = [_PNG_SIGNATURE]
    for kind, offset, length in png_chunks(data):
        end = offset + length
        if end + 4 > len(data):
            raise PhotoError("PHOTO_CORRUPT", "the PNG is cut off")
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[offset - 4 : end]) != checksum:
            raise PhotoError("PHOTO_CORRUPT", "a PNG chunk does not match its checksum")
        if kind in _PNG_KEPT:
            kept.append(view[offset - 8 : end + 4])
        if kind == b"IEND":
            return b"".join(kept)
    raise PhotoError("PHOTO_CORRUPT", "the PNG is cut off")


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation: 1 as is, 2 mirrored, 3 turned 180, 4 flipped, 5-8 with axes swapped."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    # After the transpose of 5-8: 5 is done, 6 mirrors columns, 7 both, 8 mirrors rows.
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
