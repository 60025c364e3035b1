"""English sentences about a design, at four levels, with the claims that they make."""

from __future__ import annotations

import re

from training.synth.design.designs import Design, Look
from training.synth.facts import Claims
from training.synth.text.wording import Words

# Terms whose words are adjectives or nouns that stand before "nails".
_FINISH_NOUNS = {"glitter": "glitter", "chrome": "chrome", "cat_eye": "cat-eye", "aurora": "aurora"}
# Occasions that take an article, by the word for them.
_ARTICLES = {
    "wedding": "a",
    "party": "a",
    "birthday": "a",
    "summer festival": "a",
    "night out": "a",
    "coming-of-age ceremony": "a",
    "holiday trip": "a",
    "bride": "a",
    "interview": "an",
    "office": "the",
    "beach": "the",
    "ocean": "the",
    "sea": "the",
    "new year": "the",
    "club": "the",
}


def look_phrase(look: Look, words: Words, claims: Claims, scope: str) -> str:
    """A noun phrase for one look, such as "matte navy with white dots"."""
    if look.bare:
        claims.add(scope, "bare", "true")
        return words.template(
            "bare natural nails", "natural nails without any polish", "unpainted nails", "plain bare nails"
        )
    colour = words.term("colour", look.colour)
    claims.add(scope, "colour", look.colour)
    finish = ""
    if look.finish != "gloss" or words.chance(0.35):
        finish = words.term("finish", look.finish)
        claims.add(scope, "finish", look.finish)
    base = _with_finish(colour, finish, look.finish, words)
    if look.pattern != "plain":
        base = _with_pattern(base, look, words, claims, scope)
    if look.part:
        part = words.term("part", look.part)
        claims.add(scope, "part", look.part)
        if look.part in ("rhinestone", "bow", "stud", "chain", "sticker", "flower_3d") and words.chance(0.6):
            part = f"{words.term('colour', look.part_colour)} {part}"
            claims.add(scope, "part_colour", look.part_colour)
        base += words.template(
            " with {part}", " decorated with {part}", " and {part}", ", finished with {part}"
        ).format(part=part)
    return base


def _with_finish(colour: str, finish: str, kind: str, words: Words) -> str:
    if not finish:
        return colour
    if kind in _FINISH_NOUNS:
        return words.template("{c} {f}", "{c} with a {f} finish", "{f} {c}").format(c=colour, f=finish)
    return words.template("{f} {c}", "{f} {c}", "{c} with a {f} finish").format(c=colour, f=finish)


def _with_pattern(base: str, look: Look, words: Words, claims: Claims, scope: str) -> str:
    pattern = words.term("pattern", look.pattern)
    claims.add(scope, "pattern", look.pattern)
    colours = [words.term("colour", name) for name in look.accents]
    for name in look.accents:
        claims.add(scope, "pattern_colours", name)
    paint = " and ".join([", ".join(colours[:-1]), colours[-1]] if len(colours) > 1 else colours)
    if look.pattern == "french":
        return words.template(
            "{p} french tips on a {b} base",
            "{b} base with {p} french tips",
            "a {p} french over {b}",
            "{b} with {p} tips",
            "french manicure with {p} tips on {b}",
        ).format(p=paint, b=base)
    if look.pattern in ("ombre", "half_half"):
        return words.template("{n} from {b} to {p}", "{b} and {p} {n}", "{b} with a {p} {n}").format(
            n=pattern, b=base, p=paint
        )
    if look.pattern == "half_moon":
        return words.template("{b} with a {p} {n} at the cuticle", "{p} {n} on {b}").format(
            n=pattern, b=base, p=paint
        )
    return words.template(
        "{p} {n} on a {b} base",
        "{b} base with {p} {n}",
        "{b} with {p} {n}",
        "{n} in {p} on {b}",
        "{n} design in {p} over {b}",
    ).format(n=pattern, b=base, p=paint)


def set_words(design: Design, words: Words, claims: Claims, share: float = 0.75) -> str:
    """Length and shape before "nails", each named with probability `share`."""
    parts = []
    if words.chance(share):
        parts.append(words.term("length", design.length))
        claims.add("set", "length", design.length)
    if words.chance(share):
        parts.append(words.term("shape", design.shape))
        claims.add("set", "shape", design.shape)
    return " ".join(parts)


def fingers_phrase(design: Design, words: Words) -> str:
    """The accent fingers, such as "ring finger and thumb"."""
    return " and ".join(words.term("finger", finger) for finger in design.accent_fingers)


def accent_sentence(design: Design, words: Words, claims: Claims) -> str:
    """A sentence about the fingers that differ."""
    if design.accent is None:
        return ""
    accent = look_phrase(design.accent, words, claims, "accent")
    if design.arrangement == "alternating":
        return words.template(
            "Every other nail is {a}.", "The nails alternate with {a}.", "Alternate with {a}."
        ).format(a=accent)
    for finger in design.accent_fingers:
        claims.add("finger", "accent_fingers", finger)
    return words.template(
        "Only the {f} in {a}.",
        "An accent on the {f}: {a}.",
        "The {f} should be {a}.",
        "{a} on the {f} only.",
        "The {f} in {a}.",
        "Make the {f} different, with {a}.",
        "One accent nail, the {f}, in {a}.",
    ).format(f=fingers_phrase(design, words), a=accent)


def refusal(absent: list[tuple[str, str]], words: Words, claims: Claims) -> str:
    """A sentence that refuses one or two absent things."""
    parts = []
    for kind, name in absent[: 1 + int(words.chance(0.3))]:
        parts.append(words.term(kind, name))
        claims.add("not", kind, name)
    if not parts:
        return ""
    return words.template(
        "No {x}, please.", "Without {x}.", "Nothing with {x}.", "No {x}.", "But without any {x}."
    ).format(x=" and no ".join(parts))


def every_colour(design: Design, words: Words, claims: Claims) -> str:
    """The colours of nails that all differ, such as "red, navy, mint, white and pink", and their finish."""
    names = list(dict.fromkeys(look.colour for look in design.looks))
    parts = []
    for name in names:
        parts.append(words.term("colour", name))
        claims.add("main", "colour", name)
    text = ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else parts[0]
    if design.main.finish != "gloss":
        claims.add("main", "finish", design.main.finish)
        text += f", {words.term('finish', design.main.finish)}"
    return text


def occasion(word: str) -> str:
    """A theme's word as it stands after "for", such as "a wedding"."""
    return f"{_ARTICLES[word]} {word}" if word in _ARTICLES else word


def articles(text: str) -> str:
    """The text with "an" where "a" stands before a vowel, and single blanks."""
    return re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", re.sub(r"  +", " ", text)).strip()


def plain(design: Design, words: Words, claims: Claims) -> str:
    """One sentence."""
    return articles(_plain(design, words, claims))


def _plain(design: Design, words: Words, claims: Claims) -> str:
    shape = set_words(design, words, claims, 0.5)
    if design.arrangement == "every":
        return words.template(
            "{s} nails, each in a different colour: {c}",
            "rainbow {s} nails, every finger its own colour, {c}",
            "{s} skittle nails, one colour a finger, {c}",
        ).format(s=shape, c=every_colour(design, words, claims))
    look = look_phrase(design.main, words, claims, "main")
    if design.main.bare:
        return words.template("{s} {l}", "{l}, {s}", "{s}, {l}").format(
            s=shape or _short(design, words, claims), l=look
        )
    text = words.template(
        "{s} nails in {l}", "{l} on {s} nails", "{s} {l} nails", "{l} nails, {s}", "a {s} manicure: {l}"
    ).format(s=shape or words.template("neat", "simple", "pretty"), l=look)
    if design.accent is not None and words.chance(0.6) and design.arrangement == "accent":
        accent = look_phrase(design.accent, words, claims, "accent")
        text += words.template(", {f} in {a}", " with {a} on the {f}", ", accent {f} {a}").format(
            f=fingers_phrase(design, words), a=accent
        )
        for finger in design.accent_fingers:
            claims.add("finger", "accent_fingers", finger)
    if design.accent is not None and words.chance(0.6) and design.arrangement == "alternating":
        accent = look_phrase(design.accent, words, claims, "accent")
        text += words.template(
            ", alternating with {a}", ", every other nail {a}", ", in turn with {a}"
        ).format(a=accent)
    return text


def _short(design: Design, words: Words, claims: Claims) -> str:
    claims.add("set", "length", design.length)
    return words.term("length", design.length)


def dense(design: Design, absent: list[tuple[str, str]], words: Words, claims: Claims) -> str:
    """A request of several sentences with references, a refusal and an occasion."""
    shape = set_words(design, words, claims, 0.85)
    if design.arrangement == "every":
        opening = words.template(
            "I want {s} nails, every finger in another colour: {c}.",
            "{s} nails, one colour for each finger, {c}.",
            "Every nail different please, {c}, on {s} nails.",
            "{s} nails with five colours, {c}, one a finger.",
        ).format(s=shape, c=every_colour(design, words, claims))
    elif design.main.bare:
        look = look_phrase(design.main, words, claims, "main")
        opening = words.template("I want {s} {l}.", "{s} {l}, nothing painted.", "Show me {s} {l}.").format(
            s=shape or _short(design, words, claims), l=look
        )
    else:
        look = look_phrase(design.main, words, claims, "main")
        opening = words.template(
            "I am looking for {s} nails in {l}.",
            "I would like {s} nails: {l}.",
            "Please show me {s} nails with {l}.",
            "{s} nails, {l}.",
            "Do you have {s} nails in {l}?",
            "My next set should be {s}, {l}.",
            "Looking for a {s} set in {l}.",
            "Find {s} nails that are {l}.",
        ).format(s=shape or "nice", l=look)
    parts = [opening, accent_sentence(design, words, claims)]
    if words.chance(0.4):
        parts.append(refusal(absent, words, claims))
    if design.theme and words.chance(0.7):
        claims.add("set", "theme", design.theme)
        theme = words.term("theme", design.theme)
        parts.append(
            words.template(
                "Something for {o}.",
                "It should feel like {o}.",
                "Perfect for {o}.",
                "A {t} mood.",
                "For {o}, please.",
            ).format(t=theme, o=occasion(theme))
        )
    text = articles(" ".join(part for part in parts if part))
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in text.split(". ") if sentence)


def tags(design: Design, words: Words, claims: Claims) -> list[str]:
    """Keywords."""
    main = design.main
    found = [words.term("shape", design.shape), words.term("length", design.length)]
    claims.add("set", "shape", design.shape)
    claims.add("set", "length", design.length)
    if main.bare:
        found.append("natural nails")
        claims.add("main", "bare", "true")
    elif design.arrangement == "every":
        found.append(words.template("rainbow", "skittle nails", "multicoloured"))
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
            "{c}. Which nails?",
            "Nails for this: {c}.",
            "{c}. Something that fits.",
            "{c}. What should I wear on my nails?",
            "I need nails for this: {c}.",
        ).format(c=context)
    text = words.template(
        "something for {o}",
        "{t} nails",
        "nails with a {t} feeling",
        "I need a {t} look",
        "a set that says {t}",
        "what would suit {o}?",
        "ideas for {o}, surprise me",
        "{t} vibes on my nails",
    )
    theme = words.term("theme", mood)
    return articles(text.format(t=theme, o=occasion(theme)))
