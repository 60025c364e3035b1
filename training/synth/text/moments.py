"""Moments of stories: for every theme what happens, how someone else would ask for it, and how it feels.

`THEMES[theme].contexts` say what happens. The questions here name the same occasion in other words, and the
feelings name neither the occasion nor anything visible, so that neither can be matched word by word.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """`asks` follow "the set for", `feels` follow "the set that makes her feel"; (English, Japanese) each."""

    asks: tuple[tuple[str, str], ...]
    feels: tuple[tuple[str, str], ...]


def _moment(*lines: tuple[str, str]) -> Moment:
    return Moment(lines[:2], lines[2:])


MOMENTS: dict[str, Moment] = {
    "summer_festival": _moment(
        ("the night when the sky booms over the water", "空に大輪が上がる晩"),
        ("the evening of games and wooden sandals", "下駄で夜店を巡る夕べ"),
        ("ten years old again", "子どもの頃に戻ったような気持ち"),
        ("wide awake in the heat", "暑さも忘れて胸が高鳴る気分"),
    ),
    "christmas": _moment(
        ("the roast with all the cousins", "親戚が集まるごちそうの日"),
        ("the last get-together before the year's end", "年の瀬の集まり"),
        ("warm and a little sentimental", "あたたかくて少し感傷的な気分"),
        ("generous to everybody", "みんなに優しくなれる気持ち"),
    ),
    "halloween": _moment(
        ("the evening in disguise", "別人になりきる夜"),
        ("the doorbell and the bowl of sweets", "お菓子をねだる子どもたちを迎える日"),
        ("wicked in the best way", "いたずらをたくらむ気分"),
        ("like someone nobody knows", "誰にも正体を知られない気持ち"),
    ),
    "wedding": _moment(
        ("the vows of someone close", "身内の誓いの日"),
        ("the close-up of two joined hands", "重ねた二人の手を撮るとき"),
        ("moved to tears", "涙ぐむほど胸がいっぱいになる気持ち"),
        ("solemn and light at once", "厳かで晴れやかな気分"),
    ),
    "cherry_blossom": _moment(
        ("the blanket beneath the branches", "枝の下に敷物を広げる日"),
        ("the outing when coats stay at home", "上着を置いて出かける日"),
        ("that everything begins again", "すべてがまた始まる気持ち"),
        ("gentle and a little dreamy", "やわらかく夢見るような気分"),
    ),
    "ocean": _moment(
        ("the days of salt and wind", "潮と砂の休日"),
        ("the walk along the tide line", "波の跡をたどる散歩"),
        ("free of every clock", "時計を忘れる自由な気分"),
        ("rinsed clean inside", "心の中まで洗われる気持ち"),
    ),
    "autumn": _moment(
        ("the commute through rustling avenues", "落ち葉の並木を抜ける朝"),
        ("an errand in the chill", "肌寒い日のおつかい"),
        ("pleasantly melancholy", "心地よくもの寂しい気分"),
        ("like reading until late", "夜更けまで本を読みたい気持ち"),
    ),
    "winter": _moment(
        ("the morning when the street has gone quiet and pale", "街が静まり返った寒い朝"),
        ("the fireside in the mountains", "山の暖炉のそば"),
        ("calm down to the bones", "心の底まで静まる気持ち"),
        ("wrapped up and safe", "すっぽり包まれて安心する気分"),
    ),
    "office": _moment(
        ("the talk that decides about a career", "採用が決まる大事な話し合い"),
        ("the long hours around the conference table", "会議机を囲む長い一日"),
        ("competent and taken seriously", "頼れる人と見られる気持ち"),
        ("ready for any question", "何を聞かれても落ち着ける気分"),
    ),
    "valentine": _moment(
        ("the dinner with nobody else around", "ほかに誰もいない夕食"),
        ("the day small boxes change hands", "小さな箱を手渡す日"),
        ("shy and hopeful", "照れくさくて期待する気持ち"),
        ("like writing a letter", "手紙を書きたくなる気分"),
    ),
    "new_year": _moment(
        ("the bell and the prayer of January", "一月最初のお参り"),
        ("the ceremony of coming of age", "大人の仲間入りをする式"),
        ("dignified and full of plans", "背筋が伸びて抱負に満ちた気分"),
        ("grown up all at once", "急に大人になった気持ち"),
    ),
    "party": _moment(
        ("the floor that empties only at dawn", "夜明けまで踊り明かす場所"),
        ("the toast high above the city", "街を見下ろす高みでの乾杯"),
        ("irresistible", "誰もが振り向くような気分"),
        ("louder than usual", "いつもより大胆な気持ち"),
    ),
    "galaxy": _moment(
        ("the hours of looking up in silence", "黙って見上げ続ける時間"),
        ("the dome where everything turns", "丸天井がゆっくり回る夜"),
        ("tiny and full of wonder", "自分が小さく思えて驚きに満ちた気持ち"),
        ("far away from everything", "すべてから遠く離れた気分"),
    ),
    "tropical": _moment(
        ("the trip with one small bag", "小さな鞄ひとつの旅"),
        ("the deck chair and the straw", "寝椅子とストローの午後"),
        ("lazy without remorse", "心おきなく怠けたい気分"),
        ("ready to laugh at anything", "何を見ても笑いたくなる気持ち"),
    ),
    "goth": _moment(
        ("the gig below street level", "爆音に身を任せる夜"),
        ("the evening among flickering shadows", "揺れる影の中で過ごす夜"),
        ("mysterious and untouchable", "謎めいて近寄りがたい気分"),
        ("stronger than yesterday", "昨日より強くなった気持ち"),
    ),
    "kawaii": _moment(
        ("the rides and the headbands", "おそろいの飾りで乗り物に並ぶ日"),
        ("the afternoon of sugar and snapshots", "生クリームと記念写真の午後"),
        ("like giggling with a best friend", "親友とくすくす笑うような気分"),
        ("spoilt and happy", "甘やかされて幸せな気持ち"),
    ),
    "elegant": _moment(
        ("the concert hall and its first row", "開演を待つ最前列"),
        ("the meal with people of rank", "目上の方との会食"),
        ("poised and unhurried", "ゆったりと落ち着いた気分"),
        ("quietly proud", "静かな誇りを感じる気持ち"),
    ),
    "natural": _moment(
        ("the day on which nobody should notice", "誰にも気づかれたくない日"),
        ("the rest after much handiwork", "手仕事の一週間のあとの休み"),
        ("at ease in her own skin", "素の自分でいられる気持ち"),
        ("tidy and honest", "すっきりと正直な気分"),
    ),
    "retro": _moment(
        ("the hunt for old vinyl", "古い音盤を探す日"),
        ("the place with the jukebox", "昔のままの蓄音機のある店"),
        ("nostalgic for years before her birth", "生まれる前の時代が懐かしい気持ち"),
        ("cheerfully out of date", "流行遅れを楽しむ気分"),
    ),
    "birthday": _moment(
        ("the shout behind the door", "扉の向こうのびっくり"),
        ("the day that is hers alone", "自分だけが主役の日"),
        ("like the centre of the world", "世界の中心にいる気分"),
        ("grateful and giddy", "ありがたくて浮き立つ気持ち"),
    ),
}

# (English, Japanese) of who keeps the sets, and why there are five.
PEOPLE = (
    ("Mio", "美緒"), ("Hana", "花"), ("Clara", "クララ"), ("Ren", "蓮"), ("Sofia", "ソフィア"), ("Aoi", "葵"),
    ("Ines", "イネス"), ("Yuki", "ゆき"), ("Marta", "マルタ"), ("Kaede", "楓"), ("Lena", "レナ"),
    ("Sae", "紗英"),
)  # fmt: skip
FRAMES = (
    ("{p}'s planner", "{p}の手帳",
     "{p} keeps a planner in which every set of nails has its day.",
     "{p}の手帳では、ネイルごとに出番の日が決まっている。"),
    ("Five boxes for {p}", "{p}の五つの箱",
     "Five boxes lie on the desk of {p}, one set of nails in each, and a note on every lid.",
     "{p}の机には五つの箱が並び、それぞれにネイルと一枚のメモが入っている。"),
    ("The letters to {p}", "{p}への手紙",
     "Her sister does nails and sends {p} a set for every occasion, with a letter.",
     "ネイリストの姉は、折々に手紙を添えて{p}にネイルを送ってくれる。"),
    ("What {p} packs", "{p}の荷造り",
     "{p} packs for a long month away and decides on the nails before the shoes.",
     "{p}は長い旅の荷造りで、靴より先にネイルを決める。"),
    ("The salon's calendar of {p}", "{p}のサロン日誌",
     "At the salon they know {p}: five bookings, and each has a reason.",
     "サロンでは{p}の五回の予約に、それぞれ訳があることを知っている。"),
    ("{p} starts over", "{p}の再出発",
     "After a hard year {p} promises herself five good days and new nails for each.",
     "つらい一年のあと、{p}は五つの良い日と新しいネイルを自分に約束する。"),
)  # fmt: skip
DAYS = (
    ("on Monday", "月曜日"), ("on Tuesday", "火曜日"), ("on Wednesday", "水曜日"), ("on Thursday", "木曜日"),
    ("on Friday", "金曜日"), ("on Saturday", "土曜日"), ("on Sunday", "日曜日"),
)  # fmt: skip
