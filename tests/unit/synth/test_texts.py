"""Texts: true of the design, in two languages, and without what is kept for testing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nails.language.phrases import parse
from nails.vocabulary import ATTRIBUTES, COLOUR_BY_NAME
from training.synth.design.designs import (
    PARTS,
    PATTERNS,
    PLAIN_COLOURS,
    Design,
    Look,
    holds_out,
    sample_design,
)
from training.synth.design.themes import THEMES
from training.synth.facts import find_accepted, satisfies
from training.synth.holdout import (
    HELD_OUT_WORDS,
    assign_split,
    has_held_out_word,
    listing,
    pair_held_out,
    template_held_out,
    templates,
)
from training.synth.run.lists import add_accepted
from training.synth.scene.record import design_attributes
from training.synth.text.grammar_en import articles, occasion
from training.synth.text.texts import palette, write_texts

SEEDS = range(100)


def texts_of(seed: int, split: str) -> tuple[dict, dict]:  # type: ignore[type-arg]  # records are plain JSON
    rng = np.random.default_rng(seed)
    design = sample_design(rng, 0.05, allow_held_out=split == "test")
    return write_texts(rng, design, split), design_attributes(design)


def test_held_out_words_never_occur_in_training_texts() -> None:
    for seed in SEEDS:
        written, _ = texts_of(seed, "train")
        said = [text["text"] for text in written["texts"]]
        said += [written["title"], written["description"], *written["tags"]]
        for text in said:
            assert not has_held_out_word(text), text


def test_held_out_words_do_occur_in_test_texts() -> None:
    said = " ".join(text["text"] for seed in SEEDS for text in texts_of(seed, "test")[0]["texts"]).lower()
    assert sum(word in said for word in HELD_OUT_WORDS) > 20


def test_training_designs_show_no_held_out_pair_of_colours() -> None:
    kept = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        assert not holds_out(sample_design(rng, 0.0, allow_held_out=False))
        kept += holds_out(sample_design(np.random.default_rng(seed), 0.0))
    assert kept > 5  # sampled freely, some do


def test_some_pairs_and_templates_are_held_out_but_few() -> None:
    pairs = [pair_held_out(a, b) for a in PLAIN_COLOURS for b in PLAIN_COLOURS if a < b]
    assert 0.02 < np.mean(pairs) < 0.08
    assert pair_held_out("red", "navy") == pair_held_out("navy", "red")
    assert 0.02 < np.mean([template_held_out(f"template {i}") for i in range(400)]) < 0.25


def test_splits_are_eighty_ten_ten_and_stable() -> None:
    splits = [assign_split(seed) for seed in range(4000)]
    assert 0.77 < splits.count("train") / 4000 < 0.83
    assert splits == [assign_split(seed) for seed in range(4000)]


def test_a_design_fulfils_everything_that_its_own_texts_claim() -> None:
    for seed in SEEDS:
        written, attributes = texts_of(seed, "train")
        for text in written["texts"]:
            claims = [claim for claim in text["claims"] if claim[1] != "theme"]
            assert satisfies(attributes, claims), (text, attributes)


def test_claims_tell_designs_apart() -> None:
    everything = [texts_of(seed, "train") for seed in range(60)]
    wrong = 0
    for i, (written, _) in enumerate(everything):
        dense = next(text for text in written["texts"] if text["level"] == "dense" and text["lang"] == "en")
        wrong += sum(
            satisfies(attributes, dense["claims"]) for j, (_, attributes) in enumerate(everything) if j != i
        )
    assert wrong < 120  # of 3,540 pairs


def test_both_languages_and_all_levels_are_written() -> None:
    levels = {(text["lang"], text["level"]) for seed in SEEDS for text in texts_of(seed, "train")[0]["texts"]}
    assert levels == {
        (lang, level) for lang in ("en", "ja") for level in ("dense", "plain", "tags", "abstract")
    }
    for seed in range(30):
        for text in texts_of(seed, "train")[0]["texts"]:
            assert bool(re.search(r"[\u3040-\u9fff]", text["text"])) == (text["lang"] == "ja")


def test_phrases_are_those_of_the_reader_that_serves() -> None:
    for seed in range(10):
        for text in texts_of(seed, "train")[0]["texts"]:
            reading = parse(text["text"])
            assert (text["mdd"], text["nnp"]) == (reading.mdd, reading.nnp)


def test_refusals_name_only_what_is_absent() -> None:
    refusals = 0
    for seed in SEEDS:
        written, attributes = texts_of(seed, "train")
        for text in written["texts"]:
            for scope, kind, value in text["claims"]:
                if scope == "not":
                    refusals += 1
                    assert satisfies(attributes, [(scope, kind, value)])
    assert refusals > 20


def test_a_palette_is_ordered_by_weight_and_sums_to_one() -> None:
    for seed in SEEDS:
        design = sample_design(np.random.default_rng(seed))
        entries = palette(design)
        weights = [entry["weight"] for entry in entries]
        assert weights == sorted(weights, reverse=True)
        assert 1 <= len(entries) <= 5
        if (
            len({look.colour for look in design.looks} | {a for look in design.looks for a in look.accents})
            <= 5
        ):
            assert sum(weights) == pytest.approx(1, abs=1e-3)


def test_themes_and_weights_speak_the_vocabulary() -> None:
    names = {kind: {term.name for term in terms} for kind, terms in ATTRIBUTES.items()}
    assert set(THEMES) == names["theme"]
    assert set(PATTERNS) == names["pattern"]
    assert set(PARTS) == names["part"]
    for theme in THEMES.values():
        assert set(theme.colours) <= names["colour"]
        assert set(theme.patterns) <= names["pattern"]
        assert set(theme.parts) <= names["part"]
        assert set(theme.finishes) <= names["finish"]


def run_of(count: int) -> list[dict]:  # type: ignore[type-arg]  # records are plain JSON
    records = []
    for seed in range(count):
        split = assign_split(seed)
        written, attributes = texts_of(seed, split)
        records.append({"id": str(seed), "split": split, "attributes": attributes, "texts": written["texts"]})
    return records


def test_accepted_photos_are_exactly_the_others_of_the_split_that_fulfil_the_request() -> None:
    records = run_of(120)
    found = find_accepted(records, most=1000)
    assert any(ids for own in found for ids, _ in own)
    for record, own in zip(records, found, strict=True):
        for text, (ids, total) in zip(record["texts"], own, strict=True):
            fulfil = [
                other["id"]
                for other in records
                if other is not record
                and other["split"] == record["split"]
                and text["claims"]
                and satisfies(other["attributes"], text["claims"])
            ]
            assert (ids, total) == (fulfil, len(fulfil))


def test_of_many_accepted_photos_some_are_named_and_all_are_counted() -> None:
    records = run_of(250)
    add_accepted(records)
    texts = [text for record in records for text in record["texts"]]
    few = find_accepted(records, most=3)
    assert all(len(ids) <= 3 <= max(3, total) for own in few for ids, total in own)
    assert max(text["accepts_total"] for text in texts) > 3
    assert all(len(text["accepts"]) == min(text["accepts_total"], 50) for text in texts)
    for record in records:
        dense = [t for t in record["texts"] if (t["lang"], t["level"]) == ("en", "dense")]
        assert record["accepts"] == (dense[0]["accepts"] if dense else [])


def test_a_refused_colour_is_absent_from_base_pattern_and_part() -> None:
    refused = [("not", "colour", "red")]
    assert satisfies({"colour": "pink"}, refused)
    assert not satisfies({"colour": "red"}, refused)
    assert not satisfies({"colour": "white", "pattern_colours": ["gold", "red"]}, refused)
    assert not satisfies({"colour": "white", "accent": {"colour": "white", "part_colour": "red"}}, refused)


def test_no_sentence_of_a_test_photo_occurs_in_training() -> None:
    said: dict[str, set[str]] = {"train": set(), "test": set()}
    for split, texts in said.items():
        for seed in range(150):
            texts.update(text["text"] for text in texts_of(seed, split)[0]["texts"])
    assert len(said["test"]) > 800
    assert not said["train"] & said["test"]


def test_every_choice_of_templates_leaves_some_for_training() -> None:
    groups = [group for module in ("grammar_en", "grammar_ja") for group in templates(module)]
    assert len(groups) > 40
    for group in groups:
        assert any(not template_held_out(text) for text in group), group


def test_the_list_of_what_is_held_out_names_what_the_rules_hold_out() -> None:
    found = listing()
    assert set(found["words"]) == HELD_OUT_WORDS
    assert all(pair_held_out(*pair) for pair in found["colour_pairs"])
    assert all(template_held_out(text) for texts in found["templates"].values() for text in texts)
    assert len(found["templates"]["grammar_en"]) > 5 < len(found["templates"]["grammar_ja"])


def test_every_colour_that_a_text_names_is_in_the_attributes_and_the_palette() -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        design = sample_design(rng, 0.1)
        written = write_texts(rng, design, "train")
        attributes = design_attributes(design)
        looks = [attributes, attributes.get("accent", {})]
        shown = {name for look in looks for name in look.get("pattern_colours", [])}
        shown |= {
            name
            for look in looks
            for name in ([look["colour"]] if isinstance(look.get("colour"), str) else look.get("colour", []))
        }
        named = {entry["name"] for entry in written["palette"]}
        assert named <= shown
        assert shown <= named or len(named) == 5
        for text in written["texts"]:
            claimed = {
                v for scope, k, v in text["claims"] if scope != "not" and k in ("colour", "pattern_colours")
            }
            assert claimed <= shown, text


def test_nails_that_all_differ_are_described_colour_by_colour() -> None:
    looks = tuple(Look(colour) for colour in ("red", "navy", "mint", "white", "pink"))
    written = write_texts(np.random.default_rng(1), Design("oval", "long", looks, (), "", "every"), "train")
    for text in written["texts"]:
        if text["level"] in ("dense", "plain"):
            said = {value for _, kind, value in text["claims"] if kind == "colour"}
            assert said == {"red", "navy", "mint", "white", "pink"}
            assert sum(any(w in text["text"].lower() for w in COLOUR_BY_NAME[c].en + COLOUR_BY_NAME[c].ja)
                       for c in said) == 5  # fmt: skip


def test_articles_agree_with_the_word_that_follows() -> None:
    assert (
        articles("I need a autumn look, a  oval set, a party")
        == "I need an autumn look, an oval set, a party"
    )
    assert occasion("wedding") == "a wedding"
    assert occasion("christmas") == "christmas"
