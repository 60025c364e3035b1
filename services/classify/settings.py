"""Settings of ClassifyService: `python -m services.classify --help` prints them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.intake.settings import PhotoSettings


class ClassifySettings(PhotoSettings):
    """Says whose work a design is.

    Every setting is an option here and a variable LUNULA_CLASSIFY_<NAME> of the environment; options win.
    """

    model_config = SettingsConfigDict(env_prefix="LUNULA_CLASSIFY_")

    port: int = Field(7104, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    text_model: Path | None = Field(
        None,
        description="fastText file, or a folder whose model*.ftz are folds of one model; "
        "none takes artist_text of the model repository",
    )
    labels: Path | None = Field(
        None, description="artist ids, one a line; none takes artist_image/labels.txt of the model repository"
    )

    prototypes: Path | None = Field(
        None,
        description="what new artists are measured against; none takes artist_image/prototypes.npz of the "
        "model repository; without that file no artist can be enrolled",
    )
    enrolled: Path = Field(
        Path(".lunula/artists"), description="folder of enrolled artists; one process at a time writes to it"
    )
    max_enrolled: int = Field(
        1_000,
        ge=0,
        le=100_000,
        description="most enrolled artists; each takes up to half a megabyte of memory",
    )

    def text_model_path(self) -> Path:
        """Where the fastText file or files lie."""
        return self.text_model or self.model_repository / "artist_text"

    def labels_path(self) -> Path:
        """Where the image model's artist ids lie."""
        return self.labels or self.model_repository / "artist_image" / "labels.txt"

    def prototypes_path(self) -> Path:
        """Where the prototypes lie, if there are any."""
        return self.prototypes or self.model_repository / "artist_image" / "prototypes.npz"

    def label_table_path(self) -> Path:
        """Where the label combinations lie, if there are any."""
        return self.model_repository / "artist_image" / "label_combinations.json"
