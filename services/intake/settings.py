"""Settings that every service has that takes photos."""

from __future__ import annotations

from pydantic import Field

from nails.photo.codec import PhotoLimits
from services.kit.settings import MiB, ServiceSettings


class PhotoSettings(ServiceSettings):
    """Limits of photos, and how many are in progress at once."""

    max_photo_bytes: int = Field(30 * MiB, gt=0, description="largest photo file, in bytes")
    max_photo_pixels: int = Field(60_000_000, gt=0, description="most pixels of a photo, by its header")
    max_photo_side: int = Field(16_384, gt=0, description="longest side of a photo in pixels")
    min_photo_side: int = Field(16, gt=0, description="shortest side of a photo in pixels")
    photo_threads: int = Field(2, ge=1, description="threads that decode, render and encode")
    max_photos: int = Field(16, ge=1, description="photos or designs in progress at once, over all calls")
    photos_per_call: int = Field(8, ge=1, description="photos or designs of one call in progress at once")

    def photo_limits(self) -> PhotoLimits:
        """The limits as nails.photo takes them."""
        return PhotoLimits(
            max_bytes=self.max_photo_bytes,
            max_pixels=self.max_photo_pixels,
            max_side=self.max_photo_side,
            min_side=self.min_photo_side,
        )
