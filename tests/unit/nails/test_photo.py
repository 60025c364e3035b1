"""Photos: checked by their headers, decoded upright, refused with a reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from nails.photo.codec import PhotoError, PhotoLimits, decode_photo, encode_jpeg, encode_png, read_header


def quarters(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Red, green, blue and white quarters: every orientation of it differs."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, : width // 2] = (0, 0, 255)
    image[height // 2 :, width // 2 :] = 255
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)  # type: ignore[arg-type]  # options differ by format
    return buffer.getvalue()


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_header_only(width: int, height: int) -> bytes:
    ihdr = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    idat = zlib.compress(b"\0" * 64)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", ihdr) + png_chunk(b"IDAT", idat) + png_chunk(b"IEND", b"")
    )


def jpeg_with_size(width: int, height: int) -> bytes:
    """A real JPEG whose frame header claims another size."""
    data = bytearray(encode_jpeg(quarters()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def reason_of(data: bytes, limits: PhotoLimits | None = None) -> str:
    with pytest.raises(PhotoError) as caught:
        decode_photo(data, limits=limits)
    assert caught.value.description
    return caught.value.reason


class TestRefusals:
    """What never reaches a decoder, and why."""

    @pytest.mark.parametrize(
        "data", [b"hello, this is text", b"%PDF-1.7 ...", bytes(range(256)), b"\x00" * 64]
    )
    def test_bytes_that_are_no_image_are_named_so(self, data: bytes) -> None:
        assert reason_of(data) == "PHOTO_NOT_AN_IMAGE"

    def test_no_bytes_at_all_is_its_own_reason(self) -> None:
        assert reason_of(b"") == "PHOTO_EMPTY"

    @pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO", "JPEG2000", "AVIF"])
    def test_other_image_formats_are_recognised_and_refused(self, kind: str) -> None:
        assert reason_of(saved(Image.fromarray(quarters()), kind)) == "PHOTO_FORMAT_UNSUPPORTED"

    def test_heic_is_recognised_and_refused(self) -> None:
        assert reason_of(b"\x00\x00\x00\x18ftypheic" + bytes(64)) == "PHOTO_FORMAT_UNSUPPORTED"

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
    def test_one_pixel_is_too_small(self, kind: str) -> None:
        assert reason_of(saved(Image.new("RGB", (1, 1)), kind)) == "PHOTO_TOO_SMALL"

    @pytest.mark.parametrize("data", [png_header_only(40_000, 40_000), jpeg_with_size(40_000, 40_000)])
    def test_a_huge_header_is_refused_without_decoding(
        self, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def decoder(*_: object, **__: object) -> None:
            raise AssertionError("a decoder was called")

        monkeypatch.setattr("nails.photo.codec.simplejpeg.decode_jpeg", decoder)
        monkeypatch.setattr("nails.photo.codec.Image.open", decoder)
        assert reason_of(data) == "PHOTO_TOO_MANY_PIXELS"

    def test_a_long_thin_photo_is_refused_by_its_side(self) -> None:
        assert reason_of(png_header_only(20_000, 20)) == "PHOTO_TOO_MANY_PIXELS"

    def test_the_largest_allowed_header_passes(self) -> None:
        assert read_header(png_header_only(10_000, 6_000)).width == 10_000

    def test_too_many_bytes_are_refused_before_anything_is_read(self) -> None:
        assert reason_of(b"\x00" * (60 * 2**20)) == "PHOTO_TOO_MANY_BYTES"
        assert reason_of(encode_png(quarters()), PhotoLimits(max_bytes=10)) == "PHOTO_TOO_MANY_BYTES"

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
    def test_animations_are_refused(self, kind: str) -> None:
        frames = [Image.fromarray(np.roll(quarters(), step, axis=1)) for step in (0, 5, 10)]
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        assert reason_of(data) == "PHOTO_ANIMATED"

    def test_a_progressive_jpeg_with_thousands_of_scans_is_refused(self) -> None:
        data = saved(Image.fromarray(quarters()), "JPEG", progressive=True)
        at = data.rindex(b"\xff\xda")
        assert reason_of(data[:at] + data[at:-2] * 300 + data[-2:]) == "PHOTO_CORRUPT"

    def test_a_lossless_jpeg_is_refused(self) -> None:
        data = encode_jpeg(quarters()).replace(b"\xff\xc0", b"\xff\xc3", 1)
        assert reason_of(data) == "PHOTO_FORMAT_UNSUPPORTED"

    def test_a_gif_of_countless_empty_blocks_is_refused(self) -> None:
        head = saved(Image.fromarray(quarters()).convert("P"), "GIF")
        comment = b"\x21\xfe" + b"\x01a" * 400_000 + b"\x00"
        start = 13 + 3 * 2 ** ((head[10] & 7) + 1)
        assert reason_of(head[:start] + comment + head[start:]) == "PHOTO_CORRUPT"


class TestCorruption:
    """Files that begin well and do not end so."""

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
    def test_a_truncated_file_is_corrupt(self, kind: str, share: float) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (80, 96, 3), np.uint8)
        data = saved(Image.fromarray(noise), kind)
        assert reason_of(data[: int(len(data) * share)]) == "PHOTO_CORRUPT"

    def test_a_truncated_cmyk_jpeg_is_corrupt(self) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (80, 96, 4), np.uint8)
        data = saved(Image.fromarray(noise, mode=None).convert("CMYK"), "JPEG")
        assert reason_of(data[: len(data) // 2]) == "PHOTO_CORRUPT"

    @pytest.mark.parametrize("cut", range(1, 40))
    def test_a_file_cut_within_its_header_never_escapes_as_another_error(self, cut: int) -> None:
        for data in (encode_jpeg(quarters()), encode_png(quarters())):
            assert reason_of(data[:cut]) in {"PHOTO_CORRUPT", "PHOTO_NOT_AN_IMAGE"}

    def test_a_flipped_bit_in_a_png_is_found_by_its_checksum(self) -> None:
        data = bytearray(encode_png(quarters()))
        data[data.index(b"IDAT") + 10] ^= 0x10
        assert reason_of(bytes(data)) == "PHOTO_CORRUPT"

    def test_a_png_without_picture_data_is_corrupt(self) -> None:
        ihdr = struct.pack(">II5B", 64, 64, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", ihdr) + png_chunk(b"IEND", b"")
        assert reason_of(data) == "PHOTO_CORRUPT"

    @settings(max_examples=150, deadline=None)
    @given(
        kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]),
        flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
    )
    def test_whatever_the_bytes_decoding_ends_in_an_image_or_a_photo_error(
        self, kind: str, flips: list[tuple[float, int]]
    ) -> None:
        data = bytearray(saved(Image.fromarray(quarters()), kind))
        for place, value in flips:
            data[int(place * len(data))] = value
        try:
            image = decode_photo(bytes(data), limits=PhotoLimits(max_pixels=1_000_000))
        except PhotoError as error:
            assert error.reason.startswith("PHOTO_")
        else:
            assert image.ndim == 3
            assert image.dtype == np.uint8


class TestOddButValid:
    """Photos that must be handled, not refused."""

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_every_exif_orientation_is_undone(self, kind: str, orientation: int) -> None:
        # What the camera stored so that, turned accordingly, the picture is upright.
        upright = quarters()
        stored = {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.transpose(1, 0, 2),
            6: np.rot90(upright, 1),
            7: upright[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(upright, -1),
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
        data = saved(
            Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options if kind != "PNG" else {}
        )
        header = read_header(data)
        assert header.orientation == orientation
        assert header.upright_size == (64, 48)
        found = decode_photo(data)
        assert found.shape == upright.shape
        assert np.abs(found.astype(int) - upright).mean() < 4

    def test_broken_exif_is_ignored(self) -> None:
        data = saved(Image.fromarray(quarters()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
        assert read_header(data).orientation == 1
        assert decode_photo(data).shape == (48, 64, 3)

    def test_a_cmyk_jpeg_is_converted(self) -> None:
        data = saved(Image.fromarray(quarters()).convert("CMYK"), "JPEG", quality=95)
        assert read_header(data).components == 4
        assert np.abs(decode_photo(data).astype(int) - quarters()).mean() < 6

    def test_a_16_bit_grey_png_is_scaled_not_cut(self) -> None:
        ramp = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
        data = saved(Image.fromarray(ramp), "PNG")
        assert read_header(data).bits == 16
        found = decode_photo(data)
        assert np.array_equal(found[..., 0], np.rint(ramp / 257).astype(np.uint8))
        assert found[0, 0, 0] == 0
        assert found[-1, -1, 0] == 255

    def test_a_16_bit_colour_png_is_scaled(self) -> None:
        deep = quarters().astype(">u2") * 257
        rows = b"".join(b"\0" + row.tobytes() for row in deep)
        ihdr = struct.pack(">II5B", 64, 48, 16, 2, 0, 0, 0)
        data = (
            b"\x89PNG\r\n\x1a\n"
            + png_chunk(b"IHDR", ihdr)
            + png_chunk(b"IDAT", zlib.compress(rows))
            + png_chunk(b"IEND", b"")
        )
        assert np.array_equal(decode_photo(data), quarters())

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
    def test_grey_becomes_three_equal_channels(self, kind: str) -> None:
        found = decode_photo(saved(Image.fromarray(quarters()).convert("L"), kind))
        assert found.shape == (48, 64, 3)
        assert np.array_equal(found[..., 0], found[..., 2])

    @pytest.mark.parametrize("kind", ["PNG", "WEBP"])
    def test_alpha_is_laid_over_white(self, kind: str) -> None:
        layer = np.dstack([quarters(), np.zeros((48, 64), np.uint8)])
        layer[:24, :, 3] = 255
        found = decode_photo(
            saved(Image.fromarray(layer), kind, **({"lossless": True} if kind == "WEBP" else {}))
        )
        assert np.array_equal(found[:24], quarters()[:24])
        assert (found[24:] == 255).all()

    def test_a_palette_png_with_a_transparent_colour_shows_white_there(self) -> None:
        picture = Image.new("P", (32, 32), 1)
        picture.putpalette([0, 0, 0, 10, 200, 30])
        picture.paste(0, (0, 0, 16, 32))
        found = decode_photo(saved(picture, "PNG", transparency=0))
        assert (found[:, :16] == 255).all()
        assert (found[:, 16:] == (10, 200, 30)).all()

    def test_a_gif_of_one_frame_is_a_photo(self) -> None:
        assert np.array_equal(decode_photo(saved(Image.fromarray(quarters()), "GIF")), quarters())

    def test_bytes_after_the_end_of_a_png_do_no_harm(self) -> None:
        assert np.array_equal(decode_photo(encode_png(quarters()) + b"trailing"), quarters())


class TestScaling:
    """Reduced decoding gives what full decoding and reducing would."""

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    @pytest.mark.parametrize("max_side", [32, 100, 333, 512])
    def test_the_long_side_is_exactly_what_was_asked_for(self, kind: str, max_side: int) -> None:
        image = Image.fromarray(quarters(1200, 900))
        found = decode_photo(saved(image, kind), max_side=max_side)
        assert found.shape == (round(900 * max_side / 1200), max_side, 3)
        assert np.abs(found[2, 2].astype(int) - (255, 0, 0)).max() < 8

    def test_small_photos_are_not_enlarged(self) -> None:
        assert decode_photo(encode_png(quarters()), max_side=500).shape == (48, 64, 3)

    def test_a_turned_photo_is_limited_by_its_long_side(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        data = saved(Image.fromarray(quarters(800, 400)), "JPEG", exif=exif)
        assert decode_photo(data, max_side=100).shape == (100, 50, 3)

    def test_scaled_decoding_is_close_to_scaling_the_whole(self) -> None:
        rng = np.random.default_rng(3)
        smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).resize((1200, 900)))
        data = encode_jpeg(smooth)
        whole = np.asarray(
            Image.fromarray(decode_photo(data)).resize((300, 225), Image.Resampling.BOX)
        ).astype(int)
        assert np.abs(decode_photo(data, max_side=300) - whole).mean() < 2

    def test_a_bad_limit_is_a_programming_error(self) -> None:
        with pytest.raises(ValueError, match="max_side"):
            decode_photo(encode_png(quarters()), max_side=0)


class TestEncoding:
    """What goes out comes back."""

    def test_png_is_exact_and_repeatable(self) -> None:
        assert np.array_equal(decode_photo(encode_png(quarters())), quarters())
        assert encode_png(quarters()) == encode_png(quarters())

    def test_jpeg_is_close(self) -> None:
        assert np.abs(decode_photo(encode_jpeg(quarters())).astype(int) - quarters()).mean() < 3


class TestEnoughSide:
    """A JPEG comes at the cheapest size between enough and most."""

    @pytest.mark.parametrize(
        ("width", "side"),
        [(4000, 1000), (4032, 1008), (2592, 1296), (1920, 960), (1800, 1600), (1000, 1000), (500, 500)],
    )
    def test_a_jpeg_is_halved_until_more_would_be_too_little(self, width: int, side: int) -> None:
        data = encode_jpeg(np.full((width // 4, width, 3), 90, np.uint8))
        image = decode_photo(data, max_side=1600, enough_side=960)
        assert image.shape[1] == side
        assert abs(image.shape[0] - side / 4) <= 1
        assert np.allclose(image, 90, atol=2)

    def test_what_is_not_a_jpeg_is_reduced_to_the_most(self) -> None:
        data = encode_png(np.full((500, 2000, 3), 90, np.uint8))
        assert decode_photo(data, max_side=1600, enough_side=960).shape == (400, 1600, 3)

    def test_a_turned_photo_is_as_large_as_the_upright_one(self) -> None:
        upright = Image.fromarray(np.full((3000, 4000, 3), 90, np.uint8))
        exif = Image.Exif()
        exif[0x0112] = 6
        data = saved(upright, "JPEG", exif=exif)
        assert decode_photo(data, max_side=1600, enough_side=960).shape == (1000, 750, 3)

    @pytest.mark.parametrize("enough", [0, 1601])
    def test_more_than_the_most_is_a_mistake(self, enough: int) -> None:
        with pytest.raises(ValueError, match="enough_side"):
            decode_photo(encode_jpeg(quarters()), max_side=1600, enough_side=enough)

    def test_a_header_that_was_read_is_not_read_again(self) -> None:
        data = encode_jpeg(quarters())
        header = read_header(data)
        assert np.array_equal(decode_photo(data, header=header), decode_photo(data))


def test_a_progressive_jpeg_of_many_scans_is_refused_and_one_of_few_is_read() -> None:
    few = saved(Image.fromarray(quarters()), "JPEG", progressive=True)
    assert decode_photo(few).shape == (48, 64, 3)
    start = few.index(b"\xff\xda")
    many = few[:start] + few[start:-2] * 60 + few[-2:]
    assert reason_of(many) == "PHOTO_CORRUPT"


def test_a_jpeg_that_ends_before_its_scan_is_refused_by_its_header() -> None:
    data = encode_jpeg(quarters())
    with pytest.raises(PhotoError) as caught:
        read_header(data[: data.index(b"\xff\xda")])
    assert caught.value.reason == "PHOTO_CORRUPT"
