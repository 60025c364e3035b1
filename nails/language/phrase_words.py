"""Words that hold a request together: modifiers, heads, connectors, negation, in English and Japanese.

The vocabulary (`nails.vocabulary`) names what nails can have; the tables here hold the words around those
names. Each line of a table is `canonical English | English words | Japanese words`. Words of one line mean
the same.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Role(Enum):
    """What a token does in a request."""

    TERM = "term"  # a word of the vocabulary
    MODIFIER = "modifier"  # thin, small, deep: changes what follows
    HEAD = "head"  # base, line, nails: carries what stands before it
    COUNT = "count"
    OTHER = "other"  # a content word outside the lexicon
    JOIN = "join"  # and, or, と, や
    LINK = "link"  # with, で, に: another thing begins
    POST = "post"  # in, is, は: what follows describes what stands before
    PLACE = "place"  # on, for: a finger follows
    ATTRIBUTE = "attribute"  # の, な: what stands before describes what follows
    GRADIENT = "gradient"  # to, into, から: one colour runs into another
    NOT_BEFORE = "not_before"  # no, without: stands before what is not wanted
    NOT_AFTER = "not_after"  # なし, -free: stands after it
    BUT = "but"  # ends what a negation covers
    FILL = "fill"  # without content
    BREAK = "break"  # comma
    STOP = "stop"  # full stop, line end


MODIFIERS: Final = """
deep | deep, dark, rich | 深い, 濃い, 深みのある, 濃いめの, ディープ, 暗い, 暗めの, ダークな
light | light, pale, soft, faint | 淡い, 薄い, 淡め, 薄め, ほんのり, やわらかい, 柔らかい, ペール
bright | bright, vivid, bold, saturated | 明るい, 鮮やかな, ビビッド, 鮮やか, ヴィヴィッド
neon | neon, fluorescent | ネオン, 蛍光
pastel | pastel | パステル, パステルカラー
milky | milky, creamy | ミルキー, ミルキーな
dusty | dusty, muted, smoky, ashy | くすんだ, くすみ, スモーキー, ダスティ, くすみカラー
warm | warm | 黄み, 黄みの, 赤み, 赤みの, 温かい, 暖かい, あたたかみのある
cool | cool, icy | 青み, 青みの, 涼しげな, クールな, 寒色
sheer | sheer, see through, translucent, clear
    | クリア, 透ける, 透けた, 透け感のある, 透き通る, 透明感のある, 透き通った, すける
thin | thin, fine, skinny, delicate, slim | 細い, 細め, 極細, 細かい, 繊細な, 細めの, 極細の
thick | thick, wide, chunky | 太い, 太め, 太めの, 大粒, 大粒の
small | small, tiny, little, mini, micro, dainty
    | 小さな, 小さい, 小さめ, 小さめの, ミニ, ちいさな, 小粒, 小粒の
large | large, big, oversized, huge | 大きな, 大きい, 大きめ, 大きめの, 大ぶり, 大ぶりの
subtle | subtle, understated, slight, sparse | さりげない, 控えめな, ほのかな, 少しの
full | full, dense, heavy | たっぷり, びっしり, ぎっしり, いっぱい
scattered | scattered, sprinkled | 散りばめた, ちりばめた, 散らした
reverse | reverse, inverted | 逆
double | double | ダブル, 二重, 二重の
diagonal | diagonal, slanted | 斜め, ななめ, 斜めの
vertical | vertical | 縦
"""

HEADS: Final = """
base | base, background, base coat, bottom | ベース, 下地, 地, ベースカラー
tips | tip, tips, edge, edges, free edge, ends | 先端, 爪先, 先, ティップ, ふち, 縁
frame | frame, frames, border, outline | フレーム, 囲み
line | line | ライン, 線, 縁取り, ふちどり
nails | nails, nail, manicure, set, mani, fingernails, acrylics
    | ネイル, 爪, ジェルネイル, ネイルアート, マニキュア, ジェル
accent | accent, accents, accent nail, accent nails, detail, details, pop
    | アクセント, ポイント使い, 差し色, ワンポイント
polish | polish, lacquer, varnish, coat | ポリッシュ, カラー
bare nails | bare nails, bare nail | 自爪, 素爪, 何も塗っていない, 何も塗らない
negative space | negative space | ネガティブスペース, 抜け感
design | design, art, pattern, print, motif | アート, 模様, 柄, モチーフ, イラスト
powder | powder | パウダー
"""

COUNTS: Final = """
one | one, single, 1 | 一粒, 一つ, ひとつ, 一個, 1つ, 1粒, 一本, 1本, 一輪
two | two, 2 | 二つ, ふたつ, 2つ, 二粒, 2粒, 二本, 2本
three | three, 3 | 三つ, みっつ, 3つ, 三粒, 3粒
a few | few, some, several | いくつか, 少し, 数粒
many | many, lots | たくさん, 多め
"""

# Verbs and adjectives that mean the same as a term of the vocabulary: kind, name, English, Japanese.
CUES: Final = """
pattern | ombre | fading, fades, blending, blends, melting
    | 移り変わる, 移ろう, 溶け込む, にじむ, 溶け合う, 変わっていく
finish | gloss | glassy | つやのある, 艶のある, ツヤのある, つやつや, つややかな
finish | glitter | sparkling, shimmering, shimmery, glittering | きらめく, 輝く, きらきら
finish | jelly | see-through | 透けるような
finish | pearl_sheen | | パールっぽい
pattern | marble | | 大理石風
pattern | floral | floral, rose, roses, petals | 花びら, バラ, 薔薇, お花, 小花, 押し花
length | long | lengthy | 長さのある, 長
length | short | | 短
colour | white | | 白い
colour | black | | 黒い
colour | red | reddish, cherry red, crimson, ruby red | 赤い
colour | blue | bluish | 青い
colour | yellow | | 黄色い
colour | brown | brownish | 茶色い
colour | pink | pinkish, pinky | ピンクっぽい
colour | purple | | 紫色
colour | green | | 緑色
colour | white | | 白色
colour | black | | 黒色
colour | red | | 赤色
colour | blue | | 青色
colour | sheer_pink | milky pink | ミルキーピンク
colour | beige | milk tea, milk tea beige | ミルクティーベージュ, ミルクティー
theme | kawaii | | 可愛く, かわいく
colour | wine | deep red, oxblood | 深いワインレッド, 赤ワイン
"""

# An underscore joins words that mean this together only.
CONNECTORS_EN: Final[dict[Role, str]] = {
    Role.JOIN: "and & or nor plus",
    Role.LINK: "with featuring over under then accented topped along has have having decorated adorned"
    " against at near",
    Role.POST: "in is are of from",
    Role.PLACE: "on for onto across",
    Role.GRADIENT: "to into",
    Role.NOT_BEFORE: "no without not avoid zero nothing except never instead_of rather_than"
    " don't dont hate skip minus isn't aren't",
    Role.NOT_AFTER: "free ng",
    Role.BUT: "but instead however rather",
    Role.FILL: """a an the i i'd i'm me my we you your it its it's this that these those there be
    been being am was were want wants wanted like likes would love loves loved please something anything
    thing things some any really very quite so too as by look looks looking style styled styles kind
    sort type effect feel feeling vibe vibes finish finished shape shaped length color colour colors
    colours colored coloured tone tones shade shades hint touch bit lot each every all both other others
    rest again also still can could will should do does did make made maybe perhaps need needs searching
    search find show nice pretty beautiful lovely get got give up down out about which who what when if
    than more less most perfect one's them they their our his her she he hand hands finger fingers use
    using used wear wearing add added covered run runs running theme themed inspired season day
    otherwise while where here everything overall mostly mainly only just solely mood different
    alternate alternating alternately cuticle another own""",
}
CONNECTORS_JA: Final[dict[Role, str]] = {
    Role.JOIN: "と や とか または か も 及び および それと プラス ×",
    Role.LINK: """付いた ついた のせて のせた 乗せて 乗せた に で を が して した 入り 入った
    のった 乗った 使った あしらった 効かせた 合わせた 合わせて 添えて 添えた 付き つき 置いて 置いた
    入れて 入れた 描いた 飾った 組み合わせた 組み合わせ""",
    Role.POST: "は",
    Role.ATTRIBUTE: "の な い らしい っぽい 風の 風 系の 系 色 色の 調 的な",
    Role.GRADIENT: "から へと へ",
    Role.NOT_AFTER: """いりません 要りません 使わないで 入れないで しないで 避けてください 要らず なし
    無し 無 ナシ なしで 抜き 抜きで ではない じゃない でない 以外 以外の いらない 不要 要らない 使わない
    使わず 入れない のない がない すぎない 過ぎない ない なく ではなく じゃなく じゃなくて 避けて
    避けたい 嫌 苦手 レス""",
    Role.NOT_BEFORE: "ノン",
    Role.BUT: "けど ですが けれど だけど でも",
    Role.FILL: """です ます ください したい お願いします 欲しい ほしい みたいな ような 感じ 雰囲気
    イメージ デザイン ように という とても すごく もっと いる ある する なる 全体 全体に 全部 印象
    仕上げ 仕上がり 感 っぽく 上 中 使い つけ 付け よう それ これ その この こと もの ところ 探して 風に
    ほか 他 残り だけ のみ だけに にだけ にのみ 次 予定 交互 交互に 気分 ぴったり 見せて 似合う 変えて
    お願い 希望 左右 右 左 違う パーツ""",
}

# Ideographs that may touch a one-character word without making another word of it.
AFFIXES_JA: Final = frozenset("色系柄地爪花線薄濃淡深真指風調入無縁先小大細太一二三的感型形")


def table_rows(table: str) -> list[list[list[str]]]:
    """Fields of each line of a table, each a list of words; an indented line continues the one before it."""
    lines = table.strip().replace("\n    ", " ").splitlines()
    return [
        [[word for word in field.strip().split(", ") if word] for field in line.split("|")] for line in lines
    ]
