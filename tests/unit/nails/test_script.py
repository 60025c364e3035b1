"""What a text's letters tell of its language."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nails.language.script import language_tag


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("milky pink pearl", "und-Latn"),
        ("ﾐﾙｷｰﾋﾟﾝｸのネイル", "ja"),
        ("GOLD FRENCH で大人っぽいネイル", "ja"),
        ("桜色", "und-Hani"),
        ("은하수 nail", "ko"),
        ("узоры", "und-Cyrl"),
        ("ნეილი", "und-Geor"),
        ("123 !?", "und"),
        ("", "und"),
        ("ᚠᚢᚦ", "und"),
    ],
)
def test_the_script_names_the_language(text: str, tag: str) -> None:
    assert language_tag(text) == tag


@settings(deadline=None)  # a busy machine is not a defect
@given(st.text(max_size=50))
def test_any_text_has_a_tag(text: str) -> None:
    assert language_tag(text) in {"ja", "ko", "und"} or language_tag(text).startswith("und-")
