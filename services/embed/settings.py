"""Settings of EmbedService: `python -m services.embed --help` prints them."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.intake.settings import PhotoSettings


class EmbedSettings(PhotoSettings):
    """Turns designs and requests into vectors of one space.

    Every setting is an option here and a variable LUNULA_EMBED_<NAME> of the environment; options win.
    """

    model_config = SettingsConfigDict(env_prefix="LUNULA_EMBED_")

    port: int = Field(7102, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    queries_per_call: int = Field(
        6, ge=1, description="requests of one EmbedQueries call in progress at once"
    )
    max_queries: int = Field(12, ge=1, description="requests in progress at once, over all calls")
    max_tokens: int = Field(256, ge=8, description="tokens of a text that are read; the rest is not")
    cached_texts: int = Field(4096, ge=0, description="sentence vectors cached in memory; 0 caches none")
