"""What `--help` tells, for each of the three services."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.classify.settings import ClassifySettings
from services.crop.settings import CropSettings
from services.embed.settings import EmbedSettings
from services.intake.settings import PhotoSettings
from services.kit.settings import load

SERVICES: dict[str, tuple[type[PhotoSettings], int]] = {
    "crop": (CropSettings, 7101),
    "embed": (EmbedSettings, 7102),
    "classify": (ClassifySettings, 7104),
}
NAMES = pytest.mark.parametrize("name", SERVICES)


@NAMES
def test_help_lists_every_setting_with_default_and_meaning(name: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", f"services.{name}", "--help"], capture_output=True, text=True, check=True
    ).stdout
    words = " ".join(shown.split())
    for setting, field in SERVICES[name][0].model_fields.items():
        assert f"--{setting.replace('_', '-')}" in words, setting
        assert field.description and " ".join(field.description.split()) in words, setting
    # One "(default: ...)" for each setting: none is required.
    assert words.count("(default") >= len(SERVICES[name][0].model_fields)


@NAMES
def test_options_win_over_the_environment_which_wins_over_defaults(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, port = SERVICES[name]
    assert load(settings, []).port == port
    monkeypatch.setenv(f"LUNULA_{name.upper()}_PORT", "9000")
    monkeypatch.setenv(f"LUNULA_{name.upper()}_MAX_PHOTOS", "3")
    assert load(settings, []).port == 9000
    assert load(settings, ["--port", "9001"]).port == 9001
    assert load(settings, ["--port", "9001"]).max_photos == 3


@NAMES
def test_settings_cannot_be_changed(name: str) -> None:
    settings = load(SERVICES[name][0], [])
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_several_uri_prefixes_can_be_given() -> None:
    settings = load(CropSettings, ["--allowed-uri-prefixes", "file:///a/,https://b/"])
    assert settings.allowed_uri_prefixes == ("file:///a/", "https://b/")


def test_the_limits_of_photos_follow_the_settings() -> None:
    limits = CropSettings(max_photo_bytes=10, max_photo_side=20, max_photo_pixels=30).photo_limits()
    assert (limits.max_bytes, limits.max_side, limits.max_pixels, limits.min_side) == (10, 20, 30, 16)
