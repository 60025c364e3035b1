"""Requests read in English and Japanese: what is wished for, what refused, and what belongs to what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nails.colour.cielab import in_gamut
from nails.language.phrases import MAX_COLOURS, MAX_MDD, MAX_NNP, MAX_PHRASES, parse_request
from nails.vocabulary import ATTRIBUTES, COLOUR_BY_NAME, COLOURS


def terms(text: str) -> set[tuple[str, str]]:
    return {(phrase.kind, phrase.name) for phrase in parse_request(text).phrases if not phrase.negated}


def refused(text: str) -> set[tuple[str, str]]:
    return {(phrase.kind, phrase.name) for phrase in parse_request(text).phrases if phrase.negated}


class TestWholeRequests:
    """The requests of the product's own description."""

    def test_a_dense_english_request(self) -> None:
        reading = parse_request(
            "Long almond nails, milky pink, a thin gold French line, one pearl on the ring finger, no glitter"
        )
        assert reading.nnp == [
            "long almond nails",
            "sheer pink",
            "thin gold french line",
            "one pearl on ring finger",
        ]
        assert reading.mdd == [
            "long almond nails in sheer pink",
            "thin gold french line",
            "one pearl on ring finger",
        ]
        assert [colour.name for colour in reading.colours] == ["sheer_pink", "gold"]
        assert [(p.kind, p.text, p.name) for p in reading.phrases if p.negated] == [
            ("finish", "glitter", "glitter")
        ]

    def test_an_abstract_japanese_request(self) -> None:
        reading = parse_request("秋らしい、濃いプラムから移り変わる深いワインレッド")
        assert reading.nnp == ["autumn", "deep plum to wine ombre"]
        assert reading.mdd == ["nails, autumn style", "deep plum to wine ombre"]
        assert [colour.name for colour in reading.colours] == ["plum", "wine"]
        assert ("pattern", "ombre") in terms("秋らしい、濃いプラムから移り変わる深いワインレッド")

    def test_a_dense_japanese_request(self) -> None:
        reading = parse_request("透けるヌードベースに真っ赤なフレンチ、薬指にだけ小さな紫の花、ラメなし")
        assert reading.nnp == ["sheer nude base", "red french", "small purple floral on ring finger"]
        assert [colour.name for colour in reading.colours] == ["nude", "red", "purple"]
        assert refused("透けるヌードベースに真っ赤なフレンチ、薬指にだけ小さな紫の花、ラメなし") == {
            ("finish", "glitter")
        }

    def test_both_languages_give_the_same_noun_phrases(self) -> None:
        english = parse_request("black base with gold glitter, white flowers on the ring finger")
        japanese = parse_request("黒ベースにゴールドのラメ、薬指に白い花")
        assert english.nnp == japanese.nnp == ["black base", "gold glitter", "white floral on ring finger"]
        assert english.mdd == japanese.mdd


class TestBinding:
    """A colour belongs to its noun."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("grey base with gold glitter", ["grey base", "gold glitter"]),
            ("gold nails with grey glitter", ["gold nails", "grey glitter"]),
            ("グレーベースにゴールドのラメ", ["grey base", "gold glitter"]),
            ("ゴールドのネイルにグレーのラメ", ["gold nails", "grey glitter"]),
            ("the tips are white and the base is sheer pink", ["white french", "sheer pink base"]),
            ("ベースはピンクで、先端は白", ["pink base", "white tips"]),
            ("french tips in navy over a nude base", ["navy french", "nude base"]),
            ("pink and white french", ["pink and white french"]),
            ("赤と白のドット", ["red and white dots"]),
            ("gold foil accents", ["gold foil accent"]),
            ("a gradient from dark plum to burgundy", ["deep plum to wine ombre"]),
            ("ピンクから白へのグラデーション", ["pink to white ombre"]),
            ("short square black nails white hearts", ["short square black nails", "white hearts"]),
            ("gray cat-eye nails", ["grey cat-eye nails"]),
            ("白地に黒のドット柄", ["white base", "black dots"]),
            ("紺のベースに金箔と星", ["navy base", "gold foil", "stars"]),
            ("black, midnight blue and grey daisies", ["black and navy and grey floral"]),
            ("nude with a matte finish", ["nude matte"]),
            ("青みピンクの3Dフラワー", ["cool pink 3d flower"]),
            ("pastel nails", ["pastel nails"]),
        ],
    )
    def test_noun_phrases_keep_their_colours(self, text: str, expected: list[str]) -> None:
        assert parse_request(text).nnp == expected

    def test_swapping_the_colours_changes_the_phrases(self) -> None:
        assert set(parse_request("grey base with gold glitter").nnp).isdisjoint(
            parse_request("gold base with grey glitter").nnp
        )


class TestPlaces:
    """Single fingers."""

    @pytest.mark.parametrize(
        ("text", "phrase"),
        [
            ("one pearl on the ring finger", "one pearl on ring finger"),
            ("only the ring finger has a bow", "bow on ring finger"),
            ("glitter ring finger", "glitter on ring finger"),
            (
                "ring and middle fingers with tiny purple flowers",
                "small purple floral on ring finger and middle finger",
            ),
            ("薬指だけ花柄", "floral on ring finger"),
            ("花を薬指に", "floral on ring finger"),
            ("薬指と中指にパール", "pearls on ring finger and middle finger"),
            ("親指は赤いハート", "red hearts on thumb"),
        ],
    )
    def test_a_finger_carries_what_is_said_of_it(self, text: str, phrase: str) -> None:
        assert phrase in parse_request(text).nnp

    def test_a_place_ends_with_its_clause(self) -> None:
        assert parse_request("薬指に花、全体はピンク").nnp == ["floral on ring finger", "pink"]

    def test_parts_come_last_in_the_description(self) -> None:
        mdd = parse_request("a star on the thumb, stripes, long nails").mdd
        assert mdd == ["long nails", "stripes", "stars on thumb"]


class TestRefusals:
    """Negated phrases are recognised, and kept out of what is embedded."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("no glitter", {("finish", "glitter")}),
            ("pink nails without rhinestones or pearls", {("part", "rhinestone"), ("part", "pearl")}),
            ("no glitter, pearls or bows", {("finish", "glitter"), ("part", "pearl"), ("part", "bow")}),
            ("glitter-free nude nails", {("finish", "glitter")}),
            ("not too long", {("length", "long")}),
            ("I don't want any pink", {("colour", "pink")}),
            ("ラメなし", {("finish", "glitter")}),
            ("ラメは無しで", {("finish", "glitter")}),
            ("ラメやストーンはなし", {("finish", "glitter"), ("part", "rhinestone")}),
            ("ラメ抜きのピンク", {("finish", "glitter")}),
            ("マットではない赤", {("finish", "matte")}),
            ("ラメ入りじゃない黒", {("finish", "glitter")}),
            ("長すぎないピンク", {("length", "long")}),
            ("ストーンのないネイル", {("part", "rhinestone")}),
            ("black tips instead of white", {("colour", "white")}),
            ("いちご柄、星は入れないで", {("pattern", "stars")}),
            ("ヒョウ柄はいりません", {("pattern", "leopard")}),
        ],
    )
    def test_refusals_are_found(self, text: str, expected: set[tuple[str, str]]) -> None:
        assert refused(text) == expected

    @pytest.mark.parametrize(
        ("text", "wished"),
        [
            ("pink and white french, without glitter, but with pearls", ("part", "pearl")),
            ("no glitter, gold line", ("colour", "gold")),
            ("ラメなし、ゴールドのライン", ("colour", "gold")),
            ("ピンクのラメなしで白いフレンチ", ("pattern", "french")),
            ("白フレンチでラメなし", ("pattern", "french")),
        ],
    )
    def test_a_refusal_ends_where_another_wish_begins(self, text: str, wished: tuple[str, str]) -> None:
        assert wished in terms(text)
        assert wished not in refused(text)

    def test_what_is_refused_is_neither_embedded_nor_shown_as_a_colour(self) -> None:
        reading = parse_request("black nails, no gold, without glitter")
        assert "glitter" not in " ".join([*reading.nnp, *reading.mdd])
        assert [colour.name for colour in reading.colours] == ["black"]


class TestLexicon:
    """Every word of the vocabulary is understood."""

    @pytest.mark.parametrize("language", ["en", "ja"])
    @pytest.mark.parametrize("kind", sorted(ATTRIBUTES))
    def test_each_word_is_read_as_one_term(self, kind: str, language: str) -> None:
        # A word may stand in several kinds ("waves", "pearl"); it must be read as one of them, whole.
        missed = []
        for term in ATTRIBUTES[kind]:
            for word in getattr(term, language):
                found = parse_request(word).phrases
                if len(found) != 1 or not found[0].name:
                    missed.append((term.name, word, [(p.kind, p.name) for p in found]))
        assert not missed

    @pytest.mark.parametrize("colour", COLOURS, ids=lambda colour: colour.name)
    def test_the_first_name_of_a_colour_is_that_colour(self, colour: object) -> None:
        for word in (colour.en[0], colour.ja[0]):  # type: ignore[attr-defined]  # a union: here a Colour
            assert [found.name for found in parse_request(word).colours] == [colour.name]  # type: ignore[attr-defined]  # a union: here a Colour

    @pytest.mark.parametrize(
        "text", ["面白いデザイン", "マスターのおすすめ", "金曜日", "海外旅行の写真", "青春の思い出"]
    )
    def test_pieces_of_other_words_are_not_colours(self, text: str) -> None:
        assert parse_request(text).colours == []

    def test_modifiers_shift_a_colour_and_keep_it_displayable(self) -> None:
        plain = COLOUR_BY_NAME["purple"].lab
        assert parse_request("deep purple").colours[0].lab[0] < plain[0]
        assert parse_request("pastel purple").colours[0].lab[0] > plain[0]
        for colour in COLOURS:
            for modifier in ("deep", "dusty", "milky", "neon", "bright"):
                for found in parse_request(f"{modifier} {colour.en[0]}").colours:
                    assert in_gamut(found.lab)

    def test_dark_before_a_colour_is_no_theme(self) -> None:
        assert terms("dark plum nails") == {("colour", "plum")}
        assert ("theme", "goth") in terms("dark nails")

    def test_full_width_and_half_width_forms_are_the_same(self) -> None:
        assert terms("ﾋﾟﾝｸのﾌﾚﾝﾁ") == terms("ピンクのフレンチ") == {("colour", "pink"), ("pattern", "french")}
        assert terms("ＰＩＮＫ　ｎａｉｌｓ") == {("colour", "pink")}

    def test_unknown_nouns_are_kept(self) -> None:
        assert "small cactus on thumb" in parse_request("Tiny cactus on the thumb").nnp
        assert parse_request("水色のベースに金魚のイラスト").nnp == ["sky blue base", "金魚 design"]


class TestOtherLanguages:
    """Outside the lexicon the sentence speaks for itself."""

    @pytest.mark.parametrize(
        "text",
        [
            "uñas largas color rosa con flores pequeñas",
            "длинные миндалевидные ногти",
            "긴 아몬드 모양 손톱에 우유빛 핑크",
            "أظافر طويلة وردية",
            "เล็บยาวสีชมพู",
            "lange mandelförmige Nägel mit feinem Streifen",
            "zzz qqq xxx",
            "💅✨",
        ],
    )
    def test_the_whole_sentence_is_the_description(self, text: str) -> None:
        reading = parse_request(text)
        assert reading.mdd == [text]
        assert reading.nnp == []

    def test_a_foreign_sentence_with_a_known_word_keeps_both(self) -> None:
        reading = parse_request("quiero french blanco por favor")
        assert reading.mdd[0] == "quiero french blanco por favor"
        assert reading.nnp == ["french"]

    @pytest.mark.parametrize("text", ["", " ", "\n\n"])
    def test_nothing_is_read_out_of_nothing(self, text: str) -> None:
        reading = parse_request(text)
        assert (reading.mdd, reading.nnp, reading.phrases, reading.colours) == ([], [], [], [])


PIECES = [
    "gold",
    "no ",
    "ring finger",
    ", ",
    "。",
    "、",
    "赤い",
    "の",
    "ラメ",
    "なし",
    "から",
    "and",
    " ",
    "1つ",
    "薬指",
    "with",
]


class TestAnyText:
    """Bounds and repeatability, whatever comes in."""

    @settings(deadline=None, max_examples=150)
    @given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map("".join)))
    def test_reading_is_repeatable_and_bounded(self, text: str) -> None:
        reading = parse_request(text)
        assert reading == parse_request(text)
        assert len(reading.phrases) <= MAX_PHRASES
        assert len(reading.nnp) <= MAX_NNP
        assert len(reading.mdd) <= MAX_MDD
        assert len(reading.colours) <= MAX_COLOURS
        assert bool(reading.mdd) == bool(text.strip())
        assert all(part.strip() for part in [*reading.mdd, *reading.nnp])
        assert all(phrase.text for phrase in reading.phrases)

    @pytest.mark.timeout(20)
    @pytest.mark.parametrize(
        "piece", [*PIECES, "a", "赤", "ァ", "ﷺ", "-", "a-", "on ring finger, ", "no a, ", "gold or "]
    )
    def test_a_hundred_thousand_characters_are_read_in_bounded_time(self, piece: str) -> None:
        reading = parse_request((piece * 100_000)[:100_000])
        assert len(reading.phrases) <= MAX_PHRASES
        assert sum(map(len, [*reading.mdd, *reading.nnp])) < 20_000
