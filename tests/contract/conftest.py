"""Photos that are wrong in every way we know, photos that are odd but fine, models that can be held up."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.kit.inference.base import ModelMetadata, TensorSpec
from services.kit.inference.fake import FakeBackend

SKIN, NAIL, HAND = (224, 172, 150), (255, 0, 0), (0, 0, 255)


class BadPhoto(NamedTuple):
    """A photo that must be refused, and the reason."""

    name: str
    data: bytes
    reason: str


def jpeg(image: NDArray[np.uint8], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=95, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and carries next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00")) + chunk(b"IEND", b"")


def animated_gif() -> bytes:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green")]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


def bad_photo_of(name: str) -> BadPhoto:
    plain = jpeg(np.full((64, 64, 3), 128, np.uint8))
    textured = jpeg(np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8))
    data, reason = {
        "not an image": lambda: (b"this is a letter, not a photo", "PHOTO_NOT_AN_IMAGE"),
        "truncated JPEG": lambda: (textured[: len(textured) // 2], "PHOTO_CORRUPT"),
        "1x1": lambda: (jpeg(np.zeros((1, 1, 3), np.uint8)), "PHOTO_TOO_SMALL"),
        "40,000 x 40,000 header": lambda: (png_header(40_000, 40_000), "PHOTO_TOO_MANY_PIXELS"),
        "60 MB": lambda: (plain + bytes(60 * 10**6), "PHOTO_TOO_MANY_BYTES"),
        "animated GIF": lambda: (animated_gif(), "PHOTO_ANIMATED"),
    }[name]()
    return BadPhoto(name, data, reason)


@pytest.fixture(
    params=["not an image", "truncated JPEG", "1x1", "40,000 x 40,000 header", "60 MB", "animated GIF"]
)
def bad_photo(request: pytest.FixtureRequest) -> BadPhoto:
    """Every kind of photo that must be refused, one after the other."""
    return bad_photo_of(request.param)


@pytest.fixture
def truncated() -> BadPhoto:
    """The poison of poisoned batches."""
    return bad_photo_of("truncated JPEG")


class Painted(NamedTuple):
    """A photo drawn for the `painted` models: blue hands, red nails."""

    image: NDArray[np.uint8]
    jpeg: bytes
    nails: list[tuple[int, int, int, int]]


@pytest.fixture(scope="session")
def paint() -> Callable[..., Painted]:
    """Draws a photo: `nails` and `hands` are boxes (x0, y0, x1, y1); nails are ellipses in theirs."""

    def draw(
        *,
        nails: list[tuple[int, int, int, int]],
        hands: tuple[tuple[int, int, int, int], ...] = (),
        size: tuple[int, int] = (640, 480),
        tint: int = 0,
    ) -> Painted:
        image = np.full((size[1], size[0], 3), SKIN, np.uint8)
        image[..., 1] -= np.uint8(tint)
        for x0, y0, x1, y1 in hands:
            image[y0:y1, x0:x1] = HAND
        for x0, y0, x1, y1 in nails:
            centre, axes = ((x0 + x1) // 2, (y0 + y1) // 2), ((x1 - x0) // 2, (y1 - y0) // 2)
            cv2.ellipse(image, centre, axes, 0, 0, 360, NAIL, -1)
        return Painted(image, jpeg(image, subsampling=0), nails)

    return draw


@pytest.fixture(scope="session")
def hand_photo(paint: Callable[..., Painted]) -> Painted:
    """A hand with five nails, and another with two."""
    nails = [(60 + 70 * i, 120, 100 + 70 * i, 190) for i in range(5)]
    return paint(
        nails=[*nails, (530, 380, 565, 450), (585, 380, 620, 450)],
        hands=((40, 100, 420, 330), (510, 360, 636, 470)),
    )


@pytest.fixture(scope="session")
def odd_photos(hand_photo: Painted) -> Mapping[str, bytes]:
    """The hand photo in forms that must be handled as the plain one is."""
    image = Image.fromarray(hand_photo.image)
    cmyk, deep, turned = io.BytesIO(), io.BytesIO(), io.BytesIO()
    image.convert("CMYK").save(cmyk, format="JPEG", quality=95)
    wide = cv2.cvtColor(hand_photo.image, cv2.COLOR_RGB2BGR).astype(np.uint16) * 257
    deep.write(cv2.imencode(".png", wide)[1].tobytes())
    exif = Image.Exif()
    exif[0x0112] = 6  # upright after a quarter turn clockwise
    image.transpose(Image.Transpose.ROTATE_90).save(
        turned, format="JPEG", quality=95, subsampling=0, exif=exif
    )
    return {
        "CMYK JPEG": cmyk.getvalue(),
        "16-bit PNG": deep.getvalue(),
        "EXIF-rotated JPEG": turned.getvalue(),
    }


class Gate:
    """Stands before every inference of a fake backend; open unless a test closes it."""

    def __init__(self) -> None:
        self.entered = 0
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.error: Callable[[str, Mapping[str, Any]], Exception | None] | None = None
        self._open = asyncio.Event()
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, model: str, inputs: Mapping[str, Any]) -> None:
        if self.error is not None and (error := self.error(model, inputs)) is not None:
            raise error
        if self._open.is_set():
            return
        self.entered += 1
        self.waiting.set()
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@pytest.fixture
def gate() -> Gate:
    """Holds inference up where a test asks for it."""
    return Gate()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for a state of the server that it does not announce; the test's time limit ends a vain wait."""

    async def wait(reached: Callable[[], bool]) -> None:
        while not reached():  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(0.001)

    return wait


def spec(name: str, *shape: int | None, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


def model(name: str, inputs: list[TensorSpec], outputs: list[TensorSpec], **parameters: str) -> ModelMetadata:
    return ModelMetadata(
        name=name,
        version="1",
        fingerprint=f"fingerprint-of-{name}",
        max_batch_size=16,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        parameters=parameters,
    )


@pytest.fixture(scope="session")
def compact_models() -> list[ModelMetadata]:
    """The tensors of the compact models, without their weights."""
    images = spec("images", 3, 224, 224)
    return [
        model("nail_seg", [spec("images", 3, 512, 512)], [spec("maps", 2, 256, 256)], decoder="interior"),
        model(
            "hand_detect",
            [spec("images", 3, 320, 320)],
            [spec("boxes", 1600, 4), spec("scores", 1600)],
        ),
        model(
            "hand_pose",
            [spec("hands", 3, 256, 256)],
            [spec("simcc_x", 21, 512), spec("simcc_y", 21, 512)],
        ),
        model("image_align", [images], [spec("embedding", 512), spec("tokens", 49, 320, dtype="float16")]),
        model("image_style", [images], [spec("embedding", 256)]),
        model(
            "text_encode",
            [spec("input_ids", None, dtype="int64"), spec("attention_mask", None, dtype="int64")],
            [spec("embedding", 512), spec("tokens", None, 512)],
        ),
        model(
            "design_fuse",
            [spec("style", 256), spec("align", 512), spec("crop", 512), spec("text", 512)],
            [spec("embedding", 256)],
        ),
        model(
            "query_fuse",
            [
                spec("text", 512),
                spec("mdd", 512),
                spec("nnp", 16, 512),
                spec("nnp_mask", 16),
                spec("palette", 12, 3),
                spec("palette_mask", 12),
            ],
            [spec("embedding", 256)],
        ),
        model("artist_image", [images], [spec("logits", 4), spec("embedding", 256)]),
    ]


def see_nails(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """nail_seg that sees red."""
    images = inputs["images"][:, :, ::2, ::2]
    red = (images[:, 0] > 0.5) & (images[:, 1] < -0.5) & (images[:, 2] < -0.5)
    inside = np.stack([cv2.erode(one.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for one in red])
    return {"maps": np.where(np.stack([red, inside], axis=1), 0.95, 0.02).astype(np.float32)}


def see_hands(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """hand_detect that sees blue."""
    images = inputs["images"]
    boxes = np.zeros((len(images), 1600, 4), np.float32)
    scores = np.zeros((len(images), 1600), np.float32)
    for row, image in enumerate(images):
        blue = ((image[2] > 0.5) & (image[0] < -0.5)).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(blue, np.ones((25, 25), np.uint8)))
        for index in range(1, count):
            x, y, width, height, _ = stats[index]
            boxes[row, index] = x + 12, y + 12, x + width - 12, y + height - 12
            scores[row, index] = 0.9
    return {"boxes": boxes, "scores": scores}


def see_joints(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """hand_pose that spreads the joints over the hand."""
    rows = len(inputs["hands"])
    simcc_x, simcc_y = np.zeros((2, rows, 21, 512), np.float32)
    for joint in range(21):
        simcc_x[:, joint, 80 + 90 * (joint % 5)] = 0.8
        simcc_y[:, joint, 80 + 90 * (joint // 5)] = 0.8
    return {"simcc_x": simcc_x, "simcc_y": simcc_y}


@pytest.fixture
def fake_backend(compact_models: list[ModelMetadata], gate: Gate) -> FakeBackend:
    """Every compact model, answering from hashes; nails and hands are seen where they are painted."""
    answers = {"nail_seg": see_nails, "hand_detect": see_hands, "hand_pose": see_joints}
    return FakeBackend(compact_models, answers=answers, before=gate)
