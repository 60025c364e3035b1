"""Words of texts in any language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nails.language.words import MAX_CHARACTERS, split_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Long ALMOND nails, milky-pink!", ["long", "almond", "nails", "milky", "pink"]),
        ("Valentine's day", ["valentine's", "day"]),
        ("Ｎａｉｌ　Ａｒｔ", ["nail", "art"]),
        ("花柄", ["花", "柄", "花柄"]),
        ("赤いネイル", ["赤", "い", "ネ", "イ", "ル", "赤い", "いネ", "ネイ", "イル"]),
        ("ﾈｲﾙ", ["ネ", "イ", "ル", "ネイ", "イル"]),
        ("gold金箔art", ["gold", "金", "箔", "金箔", "art"]),
        ("3D flowers 2024", ["3d", "flowers", "2024"]),
        ("длинные ногти", ["длинные", "ногти"]),
        ("uñas café", ["uñas", "café"]),
        ("💅✨ ... !!", []),
        ("", []),
    ],
)
def test_texts_are_cut_into_words(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


def test_a_shared_pair_of_characters_joins_different_compounds() -> None:
    assert "花柄" in split_words("赤い花柄ネイル")
    assert "花柄" in split_words("小花柄")


@given(st.text(max_size=300))
def test_any_text_gives_clean_words(text: str) -> None:
    found = split_words(text)
    assert found == split_words(text)
    assert all(word and not any(char.isspace() for char in word) for word in found)


@given(st.text(max_size=100))
def test_case_does_not_matter(text: str) -> None:
    ascii_only = "".join(char for char in text if char.isascii())
    assert split_words(ascii_only.upper()) == split_words(ascii_only.lower())


def test_only_so_much_of_a_text_is_read() -> None:
    assert len(split_words("赤" * 300_000)) == 2 * MAX_CHARACTERS - 1
    assert len(split_words("ﷺ" * 300_000)) <= MAX_CHARACTERS
