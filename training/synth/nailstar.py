"""Requests of a synthetic run in the form of NAIL-STAR (paper N): one an image, half of them with several
targets.

    lunula data nailstar from-synth DIR

Every photo gets one of its texts, in English or Japanese by a hash of its id, and a palette as a person would
pick it. Which text: in each split and language, half of the photos get one that other photos of the split
satisfy too ("multi", 2 to 20 targets where there is such a text; one that says a part of what the photo shows
where its own say too much), the others one that none does ("single").
What the form's fields are, and the check of what is written here: `evaluation.retrieval.nailstar`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any, Final

import numpy as np
from tyro.conf import Positional, arg

from nails.colour.cielab import lab_to_srgb, srgb_to_lab
from training.kit.flags import parse
from training.synth.command import reported_errors
from training.synth.facts import find_accepted
from training.synth.picking import pick_paints
from training.synth.run.index import numbered_records
from training.synth.text.brief import brief_requests

Record = Mapping[str, Any]

LANGUAGES: Final = ("en", "ja")
SPLITS: Final = ("train", "val", "test")
MOST_TARGETS: Final = 20
# How unwelcome a text is. Who asks for a design describes it; an occasion alone hardly says what is meant.
_SINGLE_COST: Final = {"dense": 0.0, "plain": 1.0, "tags": 2.0, "abstract": 6.0}
_MULTI_COST: Final = {"dense": 0.0, "plain": 1.0, "tags": 1.0, "abstract": 6.0}
_TOO_MANY_COST: Final = 3.0
_BRIEF_COST: Final = 0.5
_BRIEF_TRIES: Final = 16
_SIBLING_COST: Final = 2.0  # a text that does not tell the members of a family apart measures no binding
_PALETTE_SIZES: Final = (0.06, 0.36, 0.58)  # chances of 1, 2, 3 colours; photos of one paint make it 2.0


@dataclass(frozen=True)
class _Choice:
    """A text of a photo with the other photos of the split that satisfy it."""

    text: Mapping[str, Any]
    others: Sequence[str]
    cost: float


def choose_requests(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One entry of `nailstar.jsonl` a record, in their order.

    Where the texts of a split do not allow for halves, as near to them as they do.
    """
    options = _options(records)
    wants_several: set[str] = set()
    for split in SPLITS:
        wants_several |= _halved([r for r in records if r["split"] == split], options)
    return [
        _entry(record, options[record["id"]][record["id"] in wants_several], record["id"] in wants_several)
        for record in records
    ]


def pick_palette(record: Record) -> list[list[float]]:
    """The 1 to 3 colours that a person would pick for a photo: CIELAB, each a little off, all displayable.

    Of the photo's paints, those on more nails are likelier. "clear" is picked where there is no paint.
    """
    rng = np.random.default_rng(_hash(f"palette:{record['id']}"))
    paints = [paint for paint in record["palette"] if paint["name"] != "clear"] or list(record["palette"])
    labs, weights = [paint["lab"] for paint in paints], [paint["weight"] for paint in paints]
    meant = pick_paints(rng, labs, weights, _PALETTE_SIZES)
    shown = srgb_to_lab(lab_to_srgb(meant))  # a colour picker offers what a display can show
    return [[round(float(value), 1) for value in lab] for lab in shown]


def statistics(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was chosen, a line a subset of each split."""
    lines = []
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        groups[entry["split"], entry["subset"]].append(entry)
    for split in SPLITS:
        for subset in ("multi", "single"):
            if found := groups.get((split, subset)):
                lines.append(f"{split} {subset}: {_described(found)}")
    return lines


def _described(entries: Sequence[Mapping[str, Any]]) -> str:
    targets = [len(entry["targets"]) for entry in entries]
    words = [len(entry["request"].split()) for entry in entries if entry["lang"] == "en"]
    letters = [len(entry["request"]) for entry in entries if entry["lang"] == "ja"]
    parts = [
        f"{len(entries)} requests",
        _counted(entry["lang"] for entry in entries),
        _counted(entry["level"] for entry in entries),
        f"targets {mean(targets):.1f} (median {median(targets):g}, most {max(targets)})",
        f"{mean(words):.1f} words (en)" if words else "",
        f"{mean(letters):.1f} characters (ja)" if letters else "",
        f"palette {mean(len(entry['palette']) for entry in entries):.2f}",
        f"{sum(entry['composition'] for entry in entries)} compositions",
        f"{sum('binding' in entry for entry in entries)} of families",
    ]
    return "; ".join(part for part in parts if part)


def _counted(values: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in Counter(values).most_common())


def _entry(record: Record, choice: _Choice | None, several: bool) -> dict[str, Any]:
    assert choice is not None  # _halved asks for nothing else
    claims = choice.text["claims"]
    entry = {
        "id": record["id"],
        "image": record["image"],
        "split": record["split"],
        "request": choice.text["text"],
        "lang": choice.text["lang"],
        "palette": pick_palette(record),
        "targets": [record["id"], *choice.others],
        "subset": "multi" if several else "single",
        "level": choice.text["level"],
        "claims": claims,
        "composition": any(scope in ("accent", "finger") for scope, _, _ in claims),
        "crop": record["crop"],
    }
    if "binding" in record:
        entry["binding"] = record["binding"]
    return entry


_Options = dict[str, tuple[_Choice | None, _Choice | None]]


def _options(records: Sequence[Record]) -> _Options:
    """By id: the best text with one target, and the best with several; None where there is none."""
    families: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if "binding" in record:
            families[record["binding"]["family"]].add(record["id"])
    options: _Options = {}
    for record, own, brief in zip(records, *_texts(records), strict=True):
        siblings = families[record["binding"]["family"]] if "binding" in record else set()
        single = [_Choice(text, (), _SINGLE_COST[text["level"]]) for text, others in own if not others]
        several = [
            _Choice(text, others, extra + _several_cost(text["level"], others, siblings))
            for extra, texts in ((0.0, own), (_BRIEF_COST, brief))
            for text, others in texts
            if others
        ]
        options[record["id"]] = (_cheapest(single), _cheapest(several))
    return options


_Text = tuple[Mapping[str, Any], Sequence[str]]  # with the other photos that satisfy it


def _texts(records: Sequence[Record]) -> tuple[list[list[_Text]], list[list[_Text]]]:
    """For each photo its texts in its language, and brief requests where no dense text has a few targets."""
    own = _with_others(records, [_in_its_language(record) for record in records])
    briefs: list[list[Mapping[str, Any]]] = []
    for record, texts in zip(records, own, strict=True):
        if not texts:
            raise ValueError(f"photo {record['id']} has no text that claims anything")
        enough = any(text["level"] == "dense" and 0 < len(others) < MOST_TARGETS for text, others in texts)
        lang = texts[0][0]["lang"]
        briefs.append([] if enough else [*brief_requests(record, lang, _BRIEF_TRIES)])
    return own, _with_others(records, briefs)


def _in_its_language(record: Record) -> list[Mapping[str, Any]]:
    language = LANGUAGES[_hash(f"language:{record['id']}") % 2]
    return [text for text in record["texts"] if text["lang"] == language and text["claims"]]


def _with_others(
    records: Sequence[Record], texts: Sequence[Sequence[Mapping[str, Any]]]
) -> list[list[_Text]]:
    asked = [{**record, "texts": own} for record, own in zip(records, texts, strict=True)]
    found = find_accepted(asked, most=max(1, len(records)))
    return [
        [(text, others) for text, (others, _) in zip(own, answers, strict=True)]
        for own, answers in zip(texts, found, strict=True)
    ]


def _several_cost(level: str, others: Sequence[str], siblings: set[str]) -> float:
    cost = _MULTI_COST[level] + _SIBLING_COST * (not siblings.isdisjoint(others))
    return cost + (_TOO_MANY_COST if len(others) >= MOST_TARGETS else 0.0)


def _cheapest(choices: Sequence[_Choice]) -> _Choice | None:
    return min(choices, key=lambda choice: (choice.cost, _hash(choice.text["text"])), default=None)


def _halved(records: Sequence[Record], options: _Options) -> set[str]:
    """The ids of a split that get several targets: half of each language at the least total cost."""
    languages: dict[str, list[str]] = defaultdict(list)
    for record in records:
        choice = next(choice for choice in options[record["id"]] if choice is not None)
        languages[choice.text["lang"]].append(record["id"])
    halves = {language: len(ids) // 2 for language, ids in languages.items()}
    for language in languages:  # what the halves of odd numbers leave of the whole
        if sum(halves.values()) < len(records) // 2:
            halves[language] += 1

    def unwilling(photo: str) -> tuple[float, int]:
        single, several = options[photo]
        if single is None or several is None:
            extra = float("inf") if several is None else -float("inf")
        else:
            extra = several.cost - single.cost
        return extra, _hash(f"several:{photo}")

    picked: set[str] = set()
    for language, ids in languages.items():
        forced = sum(options[photo][0] is None for photo in ids)
        able = sum(options[photo][1] is not None for photo in ids)
        count = min(max(halves[language], forced), able)
        picked.update(sorted(ids, key=unwilling)[:count])
    return picked


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def read_index(folder: Path) -> list[dict[str, Any]]:
    """The records of a run of kind designs. Raises ValueError that names file and line."""
    records = []
    for where, record in numbered_records(folder):
        for name in ("id", "image", "split", "texts", "palette", "attributes", "crop"):
            if not record.get(name):
                raise ValueError(f"{where}: {name}: missing; NAIL-STAR's form needs kind designs")
        records.append(record)
    return records


def write(folder: Path, name: str = "nailstar.jsonl") -> list[dict[str, Any]]:
    """Write the entries of a run to `folder`/`name` and return them.

    Raises ValueError for an index that cannot be read and a name that is a path, OSError for files.
    """
    if Path(name).name != name or name == "index.jsonl":
        raise ValueError(f"--out {name}: a file name; it is written beside index.jsonl")
    entries = choose_requests(read_index(folder))
    draft = folder / f"{name}.part"
    with draft.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")
    draft.replace(folder / name)
    return entries


@dataclass(frozen=True)
class Options:
    """What `lunula data nailstar from-synth` takes."""

    folder: Positional[Annotated[Path, arg(metavar="DIR")]]
    """a run of `lunula data synth --kind designs`"""
    out: Annotated[str, arg(metavar="NAME")] = "nailstar.jsonl"
    """file name in DIR"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run `lunula data nailstar from-synth`."""
    given: Options = parse(Options, argv, program="lunula data nailstar from-synth", about=__doc__)
    with reported_errors(given.folder):
        entries = write(given.folder, given.out)
    print("\n".join(statistics(entries)))


if __name__ == "__main__":
    main()
