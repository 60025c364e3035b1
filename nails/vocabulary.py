"""Words of nail design: named colours with CIELAB, attribute terms, in English and Japanese.

One lexicon serves phrase extraction, palette names, filters and the synthetic photographs. Invariants: names
are snake_case and unique within their kind; the first word of each language is the one to display; words are
lower-case and NFKC-normal; CIELAB is D65, L in [0, 100], and inside the sRGB gamut. A word may belong to two
kinds (a pearl is a part and a finish looks pearly): the tokenizer decides by the neighbouring words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Term:
    """An attribute value. `en` and `ja`: words for it, the preferred one first."""

    name: str
    en: tuple[str, ...]
    ja: tuple[str, ...]


@dataclass(frozen=True)
class Colour:
    """A named nail colour. `lab`: CIELAB (L 0-100, a, b) under D65; `en` and `ja` as in `Term`."""

    name: str
    lab: tuple[float, float, float]
    en: tuple[str, ...]
    ja: tuple[str, ...]


def _rows(table: str) -> list[list[str]]:
    """Fields of each line; a line that begins with blanks continues the one before it."""
    return [line.split(" | ") for line in table.strip().replace("\n    ", " ").splitlines()]


def _terms(table: str) -> tuple[Term, ...]:
    """Read lines of `name | english, words | japanese, words`."""
    rows = _rows(table)
    return tuple(Term(name, tuple(en.split(", ")), tuple(ja.split(", "))) for name, en, ja in rows)


def _colours(table: str) -> tuple[Colour, ...]:
    """Read lines of `name | L a b | english, words | japanese, words`."""
    colours = []
    for name, lab, en, ja in _rows(table):
        lightness, a, b = (float(value) for value in lab.split())
        colours.append(Colour(name, (lightness, a, b), tuple(en.split(", ")), tuple(ja.split(", "))))
    return tuple(colours)


COLOURS: Final = _colours("""
white | 96.6 -0.0 2.2 | white, snow white, pure white | 白, ホワイト, 真っ白
milky_white | 91.8 1.8 4.5 | milky white, milk white, off-white, off white
    | 乳白色, ミルキーホワイト, オフホワイト, 乳白
ivory | 91.5 -0.2 11.9 | ivory, cream, vanilla | アイボリー, クリーム色, クリーム, 象牙色
black | 6.0 0.9 -1.1 | black, jet black | 黒, ブラック, 漆黒, 真っ黒
grey | 59.3 -0.1 -1.8 | grey, gray, ash grey, ash gray | グレー, 灰色, グレイ, ねずみ色
charcoal | 29.3 0.3 -3.3 | charcoal, dark grey, dark gray
    | チャコール, チャコールグレー, 濃いグレー, ダークグレー
greige | 70.4 2.5 8.4 | greige, grey beige, gray beige | グレージュ, グレーベージュ
silver | 78.3 -0.1 -2.9 | silver | シルバー, 銀色, 銀
gold | 68.6 4.8 48.7 | gold, golden | ゴールド, 金色, 金
rose_gold | 64.6 19.9 15.5 | rose gold, pink gold | ローズゴールド, ピンクゴールド
champagne | 81.2 2.3 19.2 | champagne, champagne gold | シャンパンゴールド, シャンパン
bronze | 44.8 11.3 30.1 | bronze, copper | ブロンズ, 銅色, カッパー
nude | 77.3 11.1 17.1 | nude, skin tone, flesh colour, flesh color | ヌード, ヌードカラー, 肌色, ヌーディー
beige | 78.7 4.0 19.4 | beige, sand | ベージュ, サンドベージュ
pink_beige | 73.2 15.5 14.5 | pink beige, nude pink, pinkish beige | ピンクベージュ, ヌードピンク
sheer_pink | 82.7 14.2 9.3 | sheer pink, clear pink, translucent pink
    | シアーピンク, クリアピンク, 透け感ピンク
pink | 70.1 39.7 -0.7 | pink | ピンク, 桃色
baby_pink | 85.1 17.8 1.2 | baby pink, pale pink, light pink, pastel pink
    | ベビーピンク, 淡いピンク, 薄いピンク, ペールピンク, ライトピンク, パステルピンク
hot_pink | 53.2 74.0 -2.4 | hot pink, neon pink, shocking pink, bright pink
    | ホットピンク, ショッキングピンク, ネオンピンク, ビビッドピンク
dusty_rose | 59.5 24.2 9.3 | dusty rose, dusty pink, mauve pink, old rose
    | くすみピンク, ダスティローズ, ダスティピンク, スモーキーピンク
magenta | 41.6 67.0 -16.5 | magenta, fuchsia | マゼンタ, フューシャ, フューシャピンク
coral | 64.1 46.7 28.6 | coral, salmon, salmon pink | コーラル, サーモンピンク, 珊瑚色, コーラルピンク
peach | 78.4 20.6 25.4 | peach, apricot | ピーチ, アプリコット
red | 44.2 66.7 42.4 | red, scarlet, bright red | 赤, レッド, 真っ赤, 真紅
wine | 22.7 38.3 11.5 | wine, burgundy, wine red, maroon, bordeaux, dark red
    | ワインレッド, ボルドー, バーガンディ, ワイン, えんじ色, 深い赤
orange | 62.1 43.1 62.4 | orange, tangerine | オレンジ, 橙色, オレンジ色
terracotta | 49.1 35.3 34.4 | terracotta, brick, rust | テラコッタ, レンガ色, 赤茶
mustard | 67.9 7.6 64.1 | mustard, ochre | マスタード, からし色, 黄土色
yellow | 85.2 -3.1 78.7 | yellow, bright yellow | 黄色, イエロー, 黄
lemon | 92.0 -9.4 46.2 | lemon, pale yellow, pastel yellow, light yellow
    | レモンイエロー, 淡い黄色, パステルイエロー, 薄い黄色
neon_yellow | 90.5 -28.8 78.6 | neon yellow, fluorescent yellow, chartreuse, neon
    | ネオンイエロー, 蛍光イエロー, 蛍光色, 蛍光黄色
lime | 77.6 -37.9 68.6 | lime, lime green, neon green, yellow green
    | ライムグリーン, ライム, 黄緑, ネオングリーン
mint | 84.6 -22.4 6.6 | mint, mint green, pastel green, light green, pale green
    | ミント, ミントグリーン, パステルグリーン, 薄緑, 淡い緑
green | 53.4 -43.5 26.4 | green, emerald, emerald green | 緑, グリーン, エメラルドグリーン, エメラルド
khaki | 49.6 -10.6 24.3 | khaki, olive, olive green, sage | カーキ, オリーブ, オリーブグリーン, セージグリーン
dark_green | 24.0 -17.8 3.1 | dark green, forest green, deep green, bottle green
    | ダークグリーン, 深緑, モスグリーン, フォレストグリーン
teal | 46.7 -25.6 -10.1 | teal, blue green, peacock | ティール, 青緑, ピーコックグリーン
turquoise | 72.5 -35.8 -9.0 | turquoise, aqua, tiffany blue
    | ターコイズ, ターコイズブルー, アクア, ティファニーブルー, エメラルドブルー
sky_blue | 81.0 -9.3 -18.9 | sky blue, light blue, baby blue, pale blue, pastel blue
    | 水色, スカイブルー, ライトブルー, ベビーブルー, 淡い青, パステルブルー
blue | 44.3 15.9 -57.3 | blue, royal blue, cobalt blue, cobalt | 青, ブルー, ロイヤルブルー, コバルトブルー
dusty_blue | 59.9 -2.8 -15.4 | dusty blue, grey blue, gray blue, smoky blue
    | くすみブルー, グレーブルー, スモーキーブルー, ダスティブルー
navy | 16.3 6.8 -22.1 | navy, navy blue, dark blue, midnight blue | 紺, ネイビー, 紺色, 濃紺, ダークブルー
lavender | 74.2 16.5 -22.6 | lavender, lilac, pastel purple, light purple, pale purple
    | ラベンダー, 藤色, ライラック, 薄紫, パステルパープル, 淡い紫
mauve | 53.1 16.9 -6.3 | mauve, dusty purple, smoky purple | モーヴ, くすみパープル, モーブ, くすみ紫
purple | 34.5 48.2 -46.4 | purple, violet | 紫, パープル, バイオレット
plum | 19.1 27.4 -13.9 | plum, dark purple, aubergine, eggplant | プラム, 濃い紫, ダークパープル, ナス色
brown | 36.7 17.0 24.3 | brown, mocha, caramel | 茶色, ブラウン, モカ, キャラメル, 茶
chocolate | 18.2 10.9 11.7 | chocolate, dark brown, espresso
    | チョコレート, 焦げ茶, ダークブラウン, チョコレートブラウン, こげ茶
clear | 86.0 7.1 9.2 | clear, transparent, see-through | クリア, 透明
""")

COLOUR_BY_NAME: Final[dict[str, Colour]] = {colour.name: colour for colour in COLOURS}

ATTRIBUTES: Final[dict[str, tuple[Term, ...]]] = {
    "colour": tuple(Term(colour.name, colour.en, colour.ja) for colour in COLOURS),
    "shape": _terms("""
square | square, squared | スクエア, 四角
squoval | squoval, soft square, rounded square | スクエアオフ, スクオーバル
round | round, rounded | ラウンド, 丸い
oval | oval | オーバル, 卵型, 楕円
almond | almond, almond-shaped, almond shaped | アーモンド, アーモンド型
coffin | coffin, ballerina | コフィン, バレリーナ
stiletto | stiletto, pointed, pointy, claw | スティレット, ポイント, 尖った, とがった
"""),
    "length": _terms("""
short | short | ショート, 短い, 短め
medium | medium, medium-length, medium length | ミディアム, 中くらいの長さ, 普通の長さ
long | long | ロング, 長い, 長め
extra_long | extra long, very long, extra-long | 超ロング, とても長い, スーパーロング
"""),
    "finish": _terms("""
gloss | glossy, gloss, shiny, high-shine | ツヤツヤ, つや, 艶, グロス, ツヤ, つるん, 光沢
matte | matte, matt, velvet | マット, つや消し, 艶消し, マット仕上げ
glitter | glitter, glittery, sparkly, sparkle, shimmer, sequin
    | ラメ, グリッター, キラキラ, スパークル, ラメ入り, シマー
chrome | chrome, mirror, metallic | クローム, ミラー, メタリック, ミラーネイル, 鏡面
cat_eye | cat-eye, cat eye, magnetic | キャッツアイ, マグネット, マグネットネイル
aurora | aurora, iridescent, holographic, holo, opal | オーロラ, ホログラム, ユニコーン, 偏光, オパール
jelly | jelly, translucent, sheer, syrup | ジェリー, シロップ, 透け感, シアー, ちゅるん, うるうる
pearl_sheen | pearly, pearlescent, pearl finish, glazed | パール感, 真珠のようなツヤ, パールカラー, グレーズド
"""),
    "pattern": _terms("""
plain | plain, solid, single colour, single color, one colour, one color, solid colour, solid color
    | 単色, 無地, ワンカラー, 一色, シンプル
french | french, french tip, french tips, french manicure, tips | フレンチ, フレンチネイル, フレンチチップ
half_moon | half-moon, half moon, reverse french, lunula | ハーフムーン, 逆フレンチ
ombre | ombre, ombré, gradient, gradation, fade | グラデーション, グラデ, オンブレ, ぼかし
marble | marble, marbled, marbling | 大理石, マーブル, 大理石柄
dots | dots, polka dots, polka dot, dotted, dot, spots | ドット, 水玉, 水玉模様, ドット柄
stripes | stripes, striped, stripe, lines | ストライプ, 縞模様, しましま, ボーダー, 縞
check | check, checked, plaid, tartan, gingham, checkered, checkerboard
    | チェック, チェック柄, タータン, ギンガム, タータンチェック
floral | floral, flowers, flower, floral pattern, daisy, daisies, blossoms
    | 花柄, フラワー, 花, お花, 小花柄, フラワー柄
leopard | leopard, leopard print, animal print, cheetah | ヒョウ柄, レオパード, 豹柄, レオパード柄, アニマル柄
hearts | hearts, heart, heart pattern | ハート, ハート柄
stars | stars, star, starry | 星, スター, 星柄
swirl | swirl, swirls, wavy, waves, wave lines, squiggle
    | 渦巻き, うねうね, ウェーブ, スワール, ニュアンスライン
tortoiseshell | tortoiseshell, tortoise shell, tortoise | べっ甲, べっこう, べっ甲柄, 鼈甲
line_art | line art, fine lines, linework, abstract lines, geometric
    | ラインアート, 線画, 細いライン, 幾何学模様, ライン
snow | snowflakes, snowflake, snow | 雪の結晶, 雪, スノー, 雪柄
fruit | fruit, fruits, cherries, cherry, strawberry, strawberries, lemons, citrus
    | フルーツ, 果物, さくらんぼ, いちご, チェリー, フルーツ柄
flame | flames, flame, fire | 炎, フレイム, ファイヤー
zigzag | zigzag, chevron, zig-zag | ジグザグ, シェブロン, ギザギザ
splatter | splatter, speckled, speckle, terrazzo, paint splash
    | しぶき, テラゾー, スプラッター, ペイント, まだら
half_half | half and half, two-tone, two tone, color block, colour block, colourblock, split
    | バイカラー, ツートン, ツートーン, 半分ずつ
cow | cow print, cow spots, cow | 牛柄, ダルメシアン, ホルスタイン柄
lattice | lattice, fishnet, crosshatch, argyle, quilted | 格子, アーガイル, 網目, キルティング
butterfly | butterflies, butterfly | 蝶, バタフライ, ちょうちょ
"""),
    "part": _terms("""
rhinestone | rhinestones, rhinestone, crystals, crystal, gems, jewels, diamonds, stones, bling
    | ラインストーン, ストーン, スワロフスキー, ビジュー, クリスタル, 宝石
pearl | pearls, pearl | パール, 真珠
stud | studs, stud, metal studs | スタッズ, メタルパーツ
gold_foil | gold foil, gold leaf, foil, foil flakes | 金箔, 箔, ホイル
silver_foil | silver foil, silver leaf | 銀箔
chain | chain, chains | チェーン, 鎖
bow | bow, bows, ribbon, ribbons | リボン, 蝶結び
shell | shell, shells, seashell, mother-of-pearl, mother of pearl | シェル, 貝殻, 貝
flower_3d | 3d flower, 3d flowers, 3-d flower, sculpted flower
    | 立体フラワー, 3dフラワー, 立体の花, お花パーツ
lace | lace | レース
sticker | sticker, stickers, decal, decals | シール, ステッカー
"""),
    "theme": _terms("""
summer_festival | summer festival, fireworks | 夏祭り, お祭り, 花火, 浴衣
christmas | christmas, xmas, holiday | クリスマス, 聖夜
halloween | halloween, spooky | ハロウィン, ハロウィーン
wedding | wedding, bridal, bride | ウェディング, ブライダル, 結婚式, 花嫁
cherry_blossom | cherry blossom, cherry blossoms, sakura, spring | 桜, さくら, お花見, 春
ocean | ocean, sea, beach, summer | 海, ビーチ, 夏, マリン
autumn | autumn, fall | 秋, 紅葉
winter | winter, winter wonderland | 冬, 雪景色
office | office, work, interview, professional | オフィス, 仕事, 面接, 通勤
valentine | valentine, valentine's day, valentines | バレンタイン
new_year | new year, new year's, coming-of-age ceremony | お正月, 成人式, 新年, 和風
party | party, night out, club | パーティー, 夜遊び, クラブ
galaxy | galaxy, space, night sky | 宇宙, ギャラクシー, 夜空, 銀河
tropical | tropical, resort, vacation, holiday trip | トロピカル, リゾート, 南国, 旅行
goth | goth, gothic, punk, dark | ゴシック, ゴス, パンク, ダーク
kawaii | kawaii, cute, girly | かわいい, 可愛い, ガーリー
elegant | elegant, chic, classy, sophisticated | 上品, エレガント, 大人っぽい, きれいめ
natural | natural, minimal, minimalist, understated | ナチュラル, ミニマル, 控えめ
retro | retro, vintage, 70s | レトロ, ヴィンテージ, 昭和レトロ
birthday | birthday | 誕生日, バースデー
"""),
    "finger": _terms("""
thumb | thumb, thumbs | 親指
index | index finger, index fingers, pointer finger, forefinger | 人差し指, 人さし指
middle | middle finger, middle fingers | 中指
ring | ring finger, ring fingers | 薬指
pinky | pinky, pinkie, little finger, little fingers, pinky finger | 小指
"""),
}

TERM_BY_NAME: Final[dict[str, dict[str, Term]]] = {
    kind: {term.name: term for term in terms} for kind, terms in ATTRIBUTES.items()
}
