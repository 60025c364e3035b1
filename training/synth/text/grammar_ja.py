"""Japanese sentences about a design, at four levels, with the claims that they make."""

from __future__ import annotations

from training.synth.design.designs import Design, Look
from training.synth.facts import Claims
from training.synth.text.wording import Words


def look_phrase(look: Look, words: Words, claims: Claims, scope: str) -> str:
    """A noun phrase for one look, such as 「ネイビーのマットに白のドット」."""
    if look.bare:
        claims.add(scope, "bare", "true")
        return words.template(
            "何も塗っていない素爪", "自爪のまま", "カラーなしの素爪", "塗っていない自然な爪"
        )
    base = words.term("colour", look.colour)
    claims.add(scope, "colour", look.colour)
    if look.finish != "gloss" or words.chance(0.3):
        finish = words.term("finish", look.finish)
        claims.add(scope, "finish", look.finish)
        base = words.template(
            "{c}の{f}", "{f}の{c}", "{f}な{c}" if look.finish == "matte" else "{c}の{f}"
        ).format(c=base, f=finish)
    if look.pattern != "plain":
        base = _with_pattern(base, look, words, claims, scope)
    if look.part:
        part = words.term("part", look.part)
        claims.add(scope, "part", look.part)
        if look.part in ("rhinestone", "bow", "stud", "chain", "sticker", "flower_3d") and words.chance(0.6):
            part = f"{words.term('colour', look.part_colour)}の{part}"
            claims.add(scope, "part_colour", look.part_colour)
        base += words.template("に{p}", "、{p}付き", "に{p}をのせて", "、{p}をプラス").format(p=part)
    return base


def _with_pattern(base: str, look: Look, words: Words, claims: Claims, scope: str) -> str:
    pattern = words.term("pattern", look.pattern)
    claims.add(scope, "pattern", look.pattern)
    for name in look.accents:
        claims.add(scope, "pattern_colours", name)
    paint = "と".join(words.term("colour", name) for name in look.accents)
    if look.pattern == "french":
        return words.template(
            "{b}ベースに{p}のフレンチ",
            "{b}に{p}のフレンチネイル",
            "先端が{p}の{b}のフレンチ",
            "{p}フレンチ、ベースは{b}",
        ).format(b=base, p=paint)
    if look.pattern in ("ombre", "half_half"):
        return words.template("{b}から{p}への{n}", "{b}と{p}の{n}").format(b=base, p=paint, n=pattern)
    return words.template(
        "{b}ベースに{p}の{n}", "{b}に{p}の{n}", "{p}の{n}、ベースは{b}", "{b}地に{p}で{n}"
    ).format(b=base, p=paint, n=pattern)


def set_words(design: Design, words: Words, claims: Claims, share: float = 0.75) -> str:
    """Length and shape, each named with probability `share`."""
    parts = []
    if words.chance(share):
        parts.append(words.term("length", design.length))
        claims.add("set", "length", design.length)
    if words.chance(share):
        parts.append(words.term("shape", design.shape))
        claims.add("set", "shape", design.shape)
    return "の".join(parts)


def fingers_phrase(design: Design, words: Words) -> str:
    """The accent fingers."""
    return "と".join(words.term("finger", finger) for finger in design.accent_fingers)


def accent_sentence(design: Design, words: Words, claims: Claims) -> str:
    """A sentence about the fingers that differ."""
    if design.accent is None:
        return ""
    accent = look_phrase(design.accent, words, claims, "accent")
    if design.arrangement == "alternating":
        return words.template("一本おきに{a}。", "交互に{a}にしてください。", "{a}を一本おきに。").format(
            a=accent
        )
    for finger in design.accent_fingers:
        claims.add("finger", "accent_fingers", finger)
    return words.template(
        "{f}だけ{a}。",
        "{f}のみ{a}にしたいです。",
        "アクセントに{f}は{a}。",
        "{f}は{a}で。",
        "{f}だけ変えて{a}に。",
    ).format(f=fingers_phrase(design, words), a=accent)


def refusal(absent: list[tuple[str, str]], words: Words, claims: Claims) -> str:
    """A sentence that refuses one absent thing."""
    for kind, name in absent[:1]:
        claims.add("not", kind, name)
        return words.template(
            "{x}なし。", "{x}なしでお願いします。", "{x}抜きで。", "{x}はいりません。"
        ).format(x=words.term(kind, name))
    return ""


def every_colour(design: Design, words: Words, claims: Claims) -> str:
    """The colours of nails that all differ, and their finish."""
    parts = []
    for name in dict.fromkeys(look.colour for look in design.looks):
        parts.append(words.term("colour", name))
        claims.add("main", "colour", name)
    text = "と".join(parts) if words.chance(0.3) else "・".join(parts)
    if design.main.finish != "gloss":
        claims.add("main", "finish", design.main.finish)
        text += f"の{words.term('finish', design.main.finish)}"
    return text


def plain(design: Design, words: Words, claims: Claims) -> str:
    """One sentence."""
    shape = set_words(design, words, claims, 0.5)
    if design.arrangement == "every":
        return words.template(
            "{s}、一本ずつ色の違うネイル、{c}",
            "全部の指が違う色の{s}ネイル({c})",
            "{c}、指ごとに色を変えた{s}ネイル",
        ).format(s=shape or "シンプルな", c=every_colour(design, words, claims))
    look = look_phrase(design.main, words, claims, "main")
    if design.main.bare:
        return f"{shape}の{look}" if shape else look
    if shape:
        text = words.template("{l}の{s}ネイル", "{s}ネイル、{l}", "{s}で{l}のデザイン", "{l}、{s}")
    else:
        text = words.template("{l}のネイル", "{l}のデザイン", "きれいなネイル、{l}", "{l}のきれいなネイル")
    text = text.format(s=shape, l=look)
    if design.accent is not None and words.chance(0.6) and design.arrangement == "accent":
        accent = look_phrase(design.accent, words, claims, "accent")
        text += f"、{fingers_phrase(design, words)}だけ{accent}"
        for finger in design.accent_fingers:
            claims.add("finger", "accent_fingers", finger)
    if design.accent is not None and words.chance(0.6) and design.arrangement == "alternating":
        accent = look_phrase(design.accent, words, claims, "accent")
        text += words.template("、交互に{a}", "、一本おきに{a}", "と{a}を交互に").format(a=accent)
    return text


def dense(design: Design, absent: list[tuple[str, str]], words: Words, claims: Claims) -> str:
    """A request of several sentences with references, a refusal and an occasion."""
    shape = set_words(design, words, claims, 0.85)
    if design.arrangement == "every":
        opening = words.template(
            "{s}で、指ごとに違う色のネイルにしたいです。{c}。",
            "{s}ネイルを一本ずつ違う色で。{c}でお願いします。",
            "{c}を一本ずつ塗った{s}ネイルを探しています。",
        ).format(s=shape or "シンプル", c=every_colour(design, words, claims))
    elif design.main.bare:
        look = look_phrase(design.main, words, claims, "main")
        if not shape:
            shape = words.term("length", design.length)
            claims.add("set", "length", design.length)
        opening = words.template(
            "{s}で{l}がいいです。", "{s}の{l}を探しています。", "{s}で、{l}を見せてください。", "{s}、{l}。"
        ).format(s=shape, l=look)
    else:
        look = look_phrase(design.main, words, claims, "main")
        opening = (
            words.template(
                "{s}ネイルを探しています。{l}。",
                "{l}の{s}ネイルにしたいです。",
                "{s}で、{l}のデザインを見せてください。",
                "{s}ネイル。{l}でお願いします。",
                "次は{s}で{l}にする予定です。",
                "{l}の{s}ネイルはありますか。",
            )
            if shape
            else words.template(
                "ネイルを探しています。{l}。",
                "{l}のネイルにしたいです。",
                "{l}のデザインを見せてください。",
                "{l}でお願いします。",
                "次は{l}にする予定です。",
            )
        ).format(s=shape, l=look)
    parts = [opening, accent_sentence(design, words, claims)]
    if words.chance(0.4):
        parts.append(refusal(absent, words, claims))
    if design.theme and words.chance(0.7):
        claims.add("set", "theme", design.theme)
        parts.append(
            words.template(
                "{t}に合う感じで。", "{t}のイメージです。", "{t}っぽい雰囲気で。", "{t}にぴったりのもの。"
            ).format(t=words.term("theme", design.theme))
        )
    return "".join(part for part in parts if part)


def tags(design: Design, words: Words, claims: Claims) -> list[str]:
    """Keywords."""
    main = design.main
    found = [words.term("shape", design.shape), words.term("length", design.length)]
    claims.add("set", "shape", design.shape)
    claims.add("set", "length", design.length)
    if main.bare:
        found.append("素爪")
        claims.add("main", "bare", "true")
    elif design.arrangement == "every":
        found.append(words.template("一本ずつ違う色", "レインボー", "マルチカラー"))
        claims.add("set", "arrangement", "every")
    else:
        found.append(words.term("colour", main.colour))
        claims.add("main", "colour", main.colour)
    for look, scope in ((main, "main"), (design.accent, "accent")):
        if look is None or look.bare:
            continue
        for kind, name in (("finish", look.finish), ("pattern", look.pattern), ("part", look.part)):
            if name and name not in ("gloss", "plain"):
                found.append(words.term(kind, name))
                claims.add(scope, kind, name)
    if design.theme:
        found.append(words.term("theme", design.theme))
        claims.add("set", "theme", design.theme)
    return list(dict.fromkeys(found))


def abstract(mood: str, context: str, words: Words, claims: Claims) -> str:
    """A request that names an occasion or a mood and no detail."""
    claims.add("set", "theme", mood)
    if context and words.chance(0.4):
        return words.template(
            "{c}。どんなネイルがいい?",
            "「{c}」に合うネイル",
            "{c}。それに合うネイル",
            "{c}、そんな日のネイル",
            "{c}。おすすめは?",
        ).format(c=context)
    return words.template(
        "{t}っぽいネイル",
        "{t}に合うネイル",
        "{t}の雰囲気のもの",
        "{t}のイメージで",
        "{t}にぴったりのデザインは?",
        "{t}らしいデザイン、おまかせで",
        "{t}気分のネイル",
    ).format(t=words.term("theme", mood))
