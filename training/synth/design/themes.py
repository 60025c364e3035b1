"""Occasions and moods: which colours, patterns and parts each prefers, and the words people use around it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """A theme of nails.vocabulary. `contexts`: short stories that lead to it, English then Japanese."""

    colours: tuple[str, ...]
    patterns: tuple[str, ...]
    parts: tuple[str, ...]
    finishes: tuple[str, ...]
    contexts: tuple[tuple[str, str], ...]


def _theme(colours: str, patterns: str, parts: str, finishes: str, *contexts: tuple[str, str]) -> Theme:
    return Theme(
        tuple(colours.split()),
        tuple(patterns.split()),
        tuple(parts.split()),
        tuple(finishes.split()),
        contexts,
    )


THEMES: dict[str, Theme] = {
    "summer_festival": _theme(
        "navy red sky_blue white orange",
        "floral stars splatter stripes swirl",
        "rhinestone gold_foil shell",
        "gloss glitter jelly",
        ("Fireworks by the river with a new yukata", "新しい浴衣で川辺の花火大会へ"),
        ("Goldfish stalls and paper lanterns on a hot night", "金魚すくいと提灯の並ぶ夏の夜"),
    ),
    "christmas": _theme(
        "red dark_green white gold wine",
        "check snow stars stripes plain",
        "bow gold_foil rhinestone pearl",
        "gloss glitter",
        ("Dinner under the tree with the whole family", "家族そろってツリーの下でディナー"),
        ("A work party in December, fairy lights everywhere", "イルミネーションの街で忘年会"),
    ),
    "halloween": _theme(
        "orange black purple lime plum",
        "splatter stars flame ombre cow",
        "chain stud sticker",
        "matte gloss glitter",
        ("Pumpkins on the porch and a witch's costume", "かぼちゃのランタンと魔女の仮装"),
        ("A costume party at the end of October", "十月の終わりの仮装パーティー"),
    ),
    "wedding": _theme(
        "milky_white sheer_pink white champagne nude",
        "french ombre floral plain marble",
        "pearl rhinestone lace flower_3d",
        "gloss pearl_sheen jelly",
        ("My sister walks down the aisle in June", "六月に姉の結婚式がある"),
        ("Ring photos after the ceremony", "式のあとに指輪の写真を撮る"),
    ),
    "cherry_blossom": _theme(
        "baby_pink sheer_pink white milky_white mint",
        "floral ombre french splatter",
        "flower_3d gold_foil pearl",
        "gloss jelly pearl_sheen",
        ("A picnic under the trees, petals in the tea", "花びらの舞う木の下でお花見"),
        ("The first warm afternoon of the year", "一年で最初の暖かい午後"),
    ),
    "ocean": _theme(
        "sky_blue turquoise blue white navy",
        "swirl marble ombre stripes",
        "shell pearl gold_foil",
        "gloss jelly aurora",
        ("A week by the sea with nothing to do", "海辺で何もしない一週間"),
        ("Walking barefoot where the waves end", "波打ち際を裸足で歩く"),
    ),
    "autumn": _theme(
        "terracotta mustard brown wine khaki",
        "check tortoiseshell plain leopard marble",
        "gold_foil stud",
        "matte gloss",
        ("Leaves turning on the way to work", "通勤路の木の葉が色づく頃"),
        ("Hot chestnuts and the first coat of the season", "焼き栗と今季はじめてのコート"),
    ),
    "winter": _theme(
        "white dusty_blue silver grey navy",
        "snow ombre plain lattice",
        "rhinestone silver_foil pearl",
        "glitter pearl_sheen matte",
        ("Snow on the window and a warm knit", "窓に雪、手にはあたたかいニット"),
        ("A cabin weekend in January", "一月の山小屋で過ごす週末"),
    ),
    "office": _theme(
        "nude beige pink_beige greige milky_white",
        "plain french ombre",
        "rhinestone",
        "gloss jelly",
        ("A job interview first thing in the morning", "朝いちばんに面接がある"),
        ("Hands that are seen in meetings all day", "一日中会議で手元を見られる"),
    ),
    "valentine": _theme(
        "red pink hot_pink baby_pink white",
        "hearts french ombre plain",
        "bow rhinestone sticker",
        "gloss glitter",
        ("A table for two in February", "二月に二人きりの食事"),
        ("Home-made chocolates to give away", "手作りチョコを渡す日"),
    ),
    "new_year": _theme(
        "red white gold black wine",
        "floral check swirl plain",
        "gold_foil flower_3d pearl",
        "gloss matte",
        ("The first shrine visit in a kimono", "振袖で初詣に行く"),
        ("Twenty years old and a long-sleeved kimono", "二十歳の振袖に合わせたい"),
    ),
    "party": _theme(
        "black gold silver wine magenta",
        "plain ombre stars french",
        "rhinestone stud chain",
        "glitter chrome cat_eye",
        ("Dancing until the last train", "終電まで踊る夜"),
        ("A rooftop bar for her promotion", "昇進祝いに屋上のバーへ"),
    ),
    "galaxy": _theme(
        "navy purple black plum blue",
        "stars ombre marble splatter",
        "rhinestone silver_foil",
        "cat_eye glitter aurora",
        ("Lying on the roof and counting satellites", "屋根に寝転んで星を数える"),
        ("A night at the planetarium", "プラネタリウムで過ごす夜"),
    ),
    "tropical": _theme(
        "coral turquoise yellow lime hot_pink orange",
        "fruit floral swirl ombre",
        "shell flower_3d",
        "gloss jelly",
        ("Ten days on an island, only hand luggage", "手荷物だけで南の島に十日間"),
        ("Poolside with a cold mango drink", "プールサイドで冷たいマンゴー"),
    ),
    "goth": _theme(
        "black wine plum charcoal silver",
        "flame lattice plain marble line_art",
        "chain stud lace",
        "matte chrome gloss",
        ("A concert in a cellar, all in leather", "革ジャンで地下のライブへ"),
        ("Candles, heavy curtains and an old piano", "蝋燭と厚いカーテンと古いピアノ"),
    ),
    "kawaii": _theme(
        "baby_pink lavender sky_blue lemon mint white",
        "hearts dots stars butterfly fruit check",
        "bow sticker pearl flower_3d",
        "gloss jelly glitter",
        ("A day at the theme park with matching ears", "おそろいの耳をつけて遊園地"),
        ("Pancakes, plush toys and photo booths", "パンケーキとぬいぐるみとプリクラ"),
    ),
    "elegant": _theme(
        "wine greige champagne navy milky_white",
        "plain french marble half_moon",
        "pearl gold_foil rhinestone",
        "gloss pearl_sheen",
        ("A violin recital and a black dress", "黒いドレスでヴァイオリンの演奏会"),
        ("Lunch with the ambassador's wife", "ホテルで大切な方との昼食"),
    ),
    "natural": _theme(
        "nude sheer_pink beige milky_white pink_beige",
        "plain ombre french line_art",
        "gold_foil",
        "jelly gloss matte",
        ("Hands that look cared for and nothing more", "きちんと手入れした手に見せたい"),
        ("Clay and flour all week, then clean at last", "毎日粘土と粉、たまにはきれいに"),
    ),
    "retro": _theme(
        "mustard orange brown teal ivory",
        "swirl check dots half_half floral",
        "sticker stud",
        "gloss matte",
        ("A record shop and flared trousers", "レコード屋とベルボトム"),
        ("Cream soda in an old coffee house", "純喫茶でクリームソーダ"),
    ),
    "birthday": _theme(
        "pink gold white lavender hot_pink",
        "stars hearts splatter ombre",
        "rhinestone bow",
        "glitter gloss aurora",
        ("Thirty candles and a surprise", "三十本のろうそくとサプライズ"),
        ("Cake first, presents later", "まずケーキ、それからプレゼント"),
    ),
}
