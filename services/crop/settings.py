"""Settings of CropService: `python -m services.crop --help` prints them."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.intake.settings import PhotoSettings


class CropSettings(PhotoSettings):
    """Finds nails in photos and cuts out the nails of one hand.

    Every setting is an option here and a variable LUNULA_CROP_<NAME> of the environment; options win.
    """

    model_config = SettingsConfigDict(env_prefix="LUNULA_CROP_")

    port: int = Field(7101, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    work_side: int = Field(
        1600, ge=256, le=4096, description="longest side in pixels at which photos are searched and cropped"
    )
    enough_side: int = Field(
        960,
        ge=256,
        le=4096,
        description="long side in pixels that suffices where decoding is cheaper; work_side caps it",
    )
    min_nail_score: float = Field(
        0.0,
        ge=0,
        le=1,
        description="nails below this score are dropped, unless a call has its own; 0: the model's own",
    )
    max_hands: int = Field(4, ge=1, le=16, description="most hands of a photo, best first")
    jpeg_quality: int = Field(92, ge=1, le=100, description="quality of crops in JPEG")
