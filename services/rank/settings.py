"""Settings of RankService."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from nails.aesthetic.rerank import DEFAULT_HEAD, DEFAULT_WEIGHT, MAX_HEAD, MAX_WEIGHT
from services.intake.settings import PhotoSettings
from services.kit.settings import UpstreamSettings
from services.rank.catalogue.companions import COMPANIONS
from services.rank.search.channels import DEFAULT_WEIGHTS

_MAX_WEIGHT = 1000


class RankSettings(UpstreamSettings, PhotoSettings):
    """Settings of RankService."""

    model_config = SettingsConfigDict(env_prefix="LUNULA_RANK_")

    port: int = Field(7103, ge=0, le=65535, description="port to listen on; 0 takes a free one")

    crop_address: str = Field("127.0.0.1:7101", description="host:port of CropService")
    embed_address: str = Field("127.0.0.1:7102", description="host:port of EmbedService")
    upstream_timeout_s: float = Field(
        60.0, gt=0, description="longest call of another service, in seconds; a nearer deadline wins"
    )

    milvus_uri: str = Field(
        ".lunula/milvus.db",
        description="a path is Milvus Lite in this process (up to about 20,000 designs); http:// is a server",
    )
    milvus_token: SecretStr | None = Field(None, description="user:password or token of a Milvus server")
    milvus_threads: int = Field(8, ge=1, le=64, description="calls to Milvus at once")
    milvus_timeout_s: float = Field(
        20.0, gt=0, description="longest call of Milvus, in seconds; a nearer deadline wins"
    )
    catalogue: str = Field(
        "designs",
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="alias of the live version; versions are the collections NAME_v1, NAME_align_v1, ...",
    )
    consistency: Literal["Strong", "Session", "Bounded", "Eventually"] = Field(
        "Session", description="what a search on a Milvus server sees; Session sees this process's writes"
    )
    blob_dir: str = Field(
        ".lunula/blobs", description="where photos are kept: a folder, or an fsspec URL such as s3://bucket/a"
    )

    candidates: int = Field(
        200,
        ge=10,
        le=4000,
        description="designs that each channel returns, at most; a search never reaches deeper",
    )
    weights: dict[str, float] = Field(
        default_factory=dict,
        description="default weights of channels, as design=0.7,palette=0.3 or JSON; the others keep theirs: "
        + ", ".join(f"{name} {weight:g}" for name, weight in DEFAULT_WEIGHTS.items()),
    )
    aesthetic: bool = Field(
        True,
        description="use the model `aesthetic`: keep image tokens of designs, score photos and rerank hits; "
        "without it, or where it does not answer, hits come in the order of relevance",
    )
    aesthetic_weight: float = Field(
        DEFAULT_WEIGHT,
        ge=0,
        le=MAX_WEIGHT,
        allow_inf_nan=False,
        description="default weight of the aesthetic score among relevant designs; 0 is off",
    )
    aesthetic_head: int = Field(
        DEFAULT_HEAD,
        ge=1,
        le=MAX_HEAD,
        description="designs at the head of the list that are scored, at most",
    )
    aesthetic_timeout_s: float = Field(
        2.0,
        gt=0,
        description="longest wait for aesthetic scores, in seconds, and never more than half of what is left "
        "until the caller's deadline; then hits come in the order of relevance",
    )
    max_queue_rows: int = Field(
        2048, gt=0, description="designs and photos that may wait for the model `aesthetic` (local)"
    )
    page_token_key: SecretStr | None = Field(
        None,
        description="key that page tokens are signed with; must be equal on all replicas; "
        "none signs with a key that everybody knows, which still detects damage",
    )

    ingest_write_rows: int = Field(64, ge=1, le=1000, description="largest write to Milvus, in designs")
    ingest_attempts: int = Field(
        4, ge=1, le=20, description="tries for one design while another service or Milvus is unavailable"
    )
    ingest_backoff_s: float = Field(
        0.25, gt=0, description="pause before the second try, in seconds; doubles with every further one"
    )
    fingerprint_ttl_s: float = Field(
        10.0, ge=0, description="how long the fingerprints of EmbedService's models are cached, in seconds"
    )

    @model_validator(mode="after")
    def _check_weights_and_name(self) -> Self:
        for name, weight in self.weights.items():
            if name not in DEFAULT_WEIGHTS:
                raise ValueError(f"weights: no channel {name!r}; there are {', '.join(DEFAULT_WEIGHTS)}")
            if not 0 <= weight <= _MAX_WEIGHT:  # NaN is neither
                raise ValueError(f"weights: {name} must be in [0, {_MAX_WEIGHT}]")
        if sum(self.channel_weights().values()) <= 0:
            raise ValueError("weights: one of them must be positive")
        for name in COMPANIONS:
            if self.catalogue.endswith(f"_{name}"):
                raise ValueError(f"catalogue must not end in _{name}, which names one of its collections")
        return self

    def channel_weights(self) -> dict[str, float]:
        """Of every channel."""
        return {**DEFAULT_WEIGHTS, **self.weights}
