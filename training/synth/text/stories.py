"""Stories for context-dependent retrieval (paper C): five sets of nails, five moments, two stories of them.

Photos 5k to 5k+4 of a run belong together. In the world A the photos' designs were made for the story's
moments; in the world B another story wants the same photos for other moments, those that suit them best. Each
photo is asked for at four levels in both worlds and languages: L1 what is to be seen, L2 the detail that
matters on its day, L3 the situation, L4 the feeling. L1 holds in both worlds, L2 to L4 need the story.

Test stories want a theme that no other story wants, and people, frames and templates that are held out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from training.synth.design.designs import LENGTHS, SHAPES, Design, Look, pick, sample_design, themed_look
from training.synth.design.fit import affinity
from training.synth.design.themes import THEMES
from training.synth.facts import Claims, satisfies
from training.synth.holdout import HELD_OUT_FRAMES, HELD_OUT_PEOPLE, HELD_OUT_THEMES, assign_split
from training.synth.text import grammar_en, grammar_ja
from training.synth.text.moments import DAYS, FRAMES, MOMENTS, PEOPLE
from training.synth.text.wording import Words

GROUP = 5
LEVELS = ("L1", "L2", "L3", "L4")
_GRAMMAR = {"en": grammar_en, "ja": grammar_ja}


@dataclass(frozen=True)
class StoryPhoto:
    """One photo of a group of five, with the five designs and the themes that both worlds see in them."""

    group: int
    member: int
    split: str
    designs: tuple[Design, ...]
    themes: dict[str, tuple[str, ...]]

    @property
    def design(self) -> Design:
        """The photo's own design."""
        return self.designs[self.member]


def plan_story_photo(seed: int) -> StoryPhoto:
    """The photo of a seed within its group."""
    group, member = divmod(seed, GROUP)
    split = assign_split(group)
    rng = np.random.default_rng([group, 6])
    kept = sorted(HELD_OUT_THEMES)
    free = [name for name in THEMES if name not in HELD_OUT_THEMES]
    own = [str(name) for name in rng.choice(free, GROUP, replace=False)]
    if split == "test":
        own[int(rng.integers(0, GROUP))] = str(rng.choice(kept))
    designs = _designs(rng, own, split)
    allowed = list(THEMES) if split == "test" else free
    return StoryPhoto(
        group, member, split, designs, {"A": tuple(own), "B": _other_themes(designs, own, allowed)}
    )


def _designs(rng: np.random.Generator, themes: Sequence[str], split: str) -> tuple[Design, ...]:
    """A design for each theme; no two of a group share colour and pattern."""
    designs: list[Design] = []
    for theme in themes:
        for _ in range(12):
            base = sample_design(rng, 0.0, split == "test")
            main, accent = themed_look(rng, theme), themed_look(rng, theme)
            fingers = base.accent_fingers if rng.random() < 0.6 else ()
            looks = tuple(
                accent if finger in fingers else main
                for finger in ("thumb", "index", "middle", "ring", "pinky")
            )
            shape, length = pick(rng, SHAPES), pick(rng, LENGTHS)
            if shape == "stiletto" and length == "short":
                length = "medium"
            design = Design(shape, length, looks, fingers, theme, "accent" if fingers else "same")
            taken = {(d.main.colour, d.main.pattern) for d in designs}
            if (main.colour, main.pattern) not in taken:
                break
        designs.append(design)
    return tuple(designs)


def _other_themes(designs: Sequence[Design], own: Sequence[str], allowed: Sequence[str]) -> tuple[str, ...]:
    """For each design a theme of the world B: the one that suits it best of those that are left."""
    chosen: list[str] = []
    for design in designs:
        left = [name for name in allowed if name not in own and name not in chosen]
        chosen.append(max(left, key=lambda name: affinity(design, name)))
    return tuple(chosen)


def facts(subject: StoryPhoto) -> dict[str, Any]:
    """The record's part: `group`, `member` and `stories`, one for each world and language.

    A story: `world`, `lang`, `title`, `story`, `theme` and `moment` of this photo, `queries` L1 to L4, and
    `claims` of L1.
    """
    stories = []
    for world, themes in subject.themes.items():
        for lang in ("en", "ja"):
            # the same for all five photos of the group
            telling = np.random.default_rng([subject.group, 7, ord(world)])
            asking = np.random.default_rng([subject.group, 8, ord(world), subject.member, lang == "ja"])
            stories.append(_story(telling, asking, subject, world, lang, themes))
    return {"split": subject.split, "group": subject.group, "member": subject.member, "stories": stories}


def _story(
    telling: np.random.Generator,
    asking: np.random.Generator,
    subject: StoryPhoto,
    world: str,
    lang: str,
    themes: Sequence[str],
) -> dict[str, Any]:
    ja = lang == "ja"
    test = subject.split == "test"
    people = [pair for pair in PEOPLE if (pair[0] in HELD_OUT_PEOPLE) == test]
    frames = [frame for frame in FRAMES if (frame[0] in HELD_OUT_FRAMES) == test]
    person = people[int(telling.integers(0, len(people)))][ja]
    frame = frames[int(telling.integers(0, len(frames)))]
    days = [DAYS[int(i)][ja] for i in sorted(telling.choice(len(DAYS), GROUP, replace=False))]
    order = [int(i) for i in telling.permutation(GROUP)]
    happens = [int(telling.integers(0, 2)) for _ in range(GROUP)]
    hinting = Words(np.random.default_rng([subject.group, 9, ord(world), ja]), lang, subject.split)
    sentences = [frame[2 + ja].format(p=person)]
    for day, place in zip(days, order, strict=True):
        hint = _hint(subject.designs, place, hinting)
        context = THEMES[themes[place]].contexts[happens[place]][ja]
        sentences.append(_entry(day, context, hint, hinting))
    theme = themes[subject.member]
    day = days[order.index(subject.member)]
    words = Words(asking, lang, subject.split)
    claims = Claims()
    return {
        "world": world,
        "lang": lang,
        "title": frame[int(ja)].format(p=person),
        "story": ("" if ja else " ").join(sentences),
        "theme": theme,
        "moment": order.index(subject.member),
        "queries": {
            "L1": _GRAMMAR[lang].plain(replace(subject.design, theme=""), words, claims),
            "L2": _focus(subject.design, person, day, words),
            "L3": _situation(theme, happens[subject.member], person, words),
            "L4": _feeling(theme, happens[subject.member], person, words),
        },
        "claims": [list(claim) for claim in claims.items],
    }


def _entry(day: str, context: str, hint: str, words: Words) -> str:
    if words.lang == "ja":
        return words.template(
            "{d}、{c}。そのときは{h}。",
            "{d}は「{c}」。選んだのは{h}。",
            "{d}には{h}を。{c}、だから。",
            "{h}は{d}のもの。{c}。",
        ).format(d=day, c=context, h=hint)
    text = words.template(
        "{w}: {c}; that is for {h}.",
        "{w} belongs to {h}. {c}.",
        "{c}, {d}; the note says {h}.",
        "For {h} there is a day, and it comes {d}: {c}.",
    )
    return text.format(d=day, w=day.removeprefix("on "), c=context, h=hint)


def _hint(designs: Sequence[Design], place: int, words: Words) -> str:
    """What tells a design from the other four, in few words: a colour, a pattern, a part, or shape and
    colour."""
    own = designs[place]
    others = [design for i, design in enumerate(designs) if i != place]
    ja = words.lang == "ja"
    for kind in ("colour", "pattern", "part", "finish"):
        value = getattr(own.main, kind)
        if value in ("", "plain", "gloss") or value in {getattr(d.main, kind) for d in others}:
            continue
        word = words.term(kind, value)
        if ja:
            return f"{word}のネイル"
        return f"the {word} nails" if kind in ("colour", "finish") else f"the nails with {word}"
    colour, shape = words.term("colour", own.main.colour), words.term("shape", own.shape)
    pattern = words.term("pattern", own.main.pattern)
    return f"{colour}で{shape}の{pattern}のネイル" if ja else f"the {shape} {colour} nails, {pattern}"


def _focus(design: Design, person: str, day: str, words: Words) -> str:
    """L2: the detail to look at, and the day that only the story explains."""
    detail = _detail(design, words)
    if words.lang == "ja":
        return words.template(
            "{d}に{p}が見せたい{x}", "{p}が{d}に選んだ、{x}が主役のネイル", "{d}の{p}の手元、{x}に注目"
        ).format(d=day, p=person, x=detail)
    return words.template(
        "the {x} that {p} shows {d}",
        "what {p} wears {d}, with an eye on the {x}",
        "{p}'s hand {d}, looking at the {x}",
    ).format(d=day, p=person, x=detail)


def _detail(design: Design, words: Words) -> str:
    accent = design.accent
    ja = words.lang == "ja"
    if accent is not None:
        finger = words.term("finger", design.accent_fingers[0])
        return f"{finger}のアクセント" if ja else f"accent on the {finger}"
    look: Look = design.main
    for kind in ("part", "pattern", "finish"):
        value = getattr(look, kind)
        if value and value not in ("plain", "gloss"):
            return words.term(kind, value)
    colour = words.term("colour", look.colour)
    return f"{colour}の色" if ja else f"shade of {colour}"


def _situation(theme: str, which: int, person: str, words: Words) -> str:
    """L3: the occasion in other words than the story's."""
    ask = MOMENTS[theme].asks[which][words.lang == "ja"]
    if words.lang == "ja":
        return words.template(
            "{a}のための{p}のネイル", "{p}が{a}につけるもの", "{a}に合わせて{p}が選んだ一組"
        ).format(a=ask, p=person)
    return words.template(
        "the set for {a}", "what {p} wears for {a}", "the nails that {p} means for {a}"
    ).format(a=ask, p=person)


def _feeling(theme: str, which: int, person: str, words: Words) -> str:
    """L4: the mood alone."""
    feel = MOMENTS[theme].feels[which][words.lang == "ja"]
    if words.lang == "ja":
        return words.template("{p}が{f}になるネイル", "{f}のときの{p}のネイル", "{f}にしてくれる一組").format(
            f=feel, p=person
        )
    return words.template(
        "the set that makes {p} feel {f}",
        "what {p} wears when she feels {f}",
        "the one with which {p} feels {f}",
    ).format(f=feel, p=person)


def lists(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """`contexts.jsonl`: one line for each photo, world and language: `group`, `image`, `world`, `lang`,
    `split`, `title`, `story`, `queries` and `positives`, the ids that answer each query.

    L1 is answered by every photo of the split that shows what it says, L2 to L4 by the photo itself.
    """
    lines = []
    for record in records:
        same = [other for other in records if other["split"] == record["split"]]
        for story in record["stories"]:
            shown = [o["id"] for o in same if o is record or satisfies(o["attributes"], story["claims"])]
            positives = {level: [record["id"]] for level in LEVELS} | {"L1": shown}
            line = {
                "group": record["group"],
                "image": record["id"],
                "split": record["split"],
                "positives": positives,
            }
            line |= {key: story[key] for key in ("world", "lang", "title", "story", "theme", "queries")}
            lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    return {"contexts.jsonl": "".join(lines)}
