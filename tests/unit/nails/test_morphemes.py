"""Words as a Japanese dictionary divides them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from nails.language.morphemes import split_morphemes


def test_japanese_is_divided_into_words_and_signs_fall_away() -> None:
    assert split_morphemes("ミルキーピンクのネイルに、細い金のフレンチ。") == [
        *("ミルキー", "ピンク", "の", "ネイル", "に", "細い", "金", "の", "フレンチ")
    ]


def test_other_languages_are_divided_at_blanks_and_signs_and_all_is_normalised() -> None:
    assert split_morphemes("Milky\nＰＩＮＫ nails, No. 12!") == ["milky", "pink", "nails", "no", "12"]


@pytest.mark.parametrize("text", ["", "  ", "\x00", "!?…", "😀", "\ud800", "　\u200b"])
def test_a_text_without_words_has_none(text: str) -> None:
    assert split_morphemes(text) == []


def test_hostile_texts_come_back() -> None:
    assert split_morphemes("\ud800pink\x00red") == ["pink", "red"]
    assert len(split_morphemes("あ" * 300_000)) <= 100_000


def test_threads_do_not_disturb_each_other() -> None:
    texts = [f"{number}番のピンクのネイル" for number in range(200)]
    alone = [split_morphemes(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(split_morphemes, texts)) == alone
