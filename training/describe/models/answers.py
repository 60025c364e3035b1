"""Reading what models answer: a JSON object somewhere in the text, of the form that was asked for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nails.language.phrases import MAX_MDD, MAX_NNP, parse_request
from training.describe.models.question import ItemError, Kind

MAX_DESCRIPTION = 4_000
_MAX_PHRASE = 300
_MAX_ANSWER = 100_000
_MAX_STARTS = 50  # braces that may begin the object
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_REFUSAL = re.compile(
    r"\bI(?:['’]m| am) (?:sorry|unable|not able)\b|\bI (?:can['’]?t|can ?not|won['’]t)\b|\bsorry, ",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Restated:
    """A request in other words. mdd: from the whole to the parts. nnp: normalised noun phrases."""

    mdd: tuple[str, ...]
    nnp: tuple[str, ...]


def restate_by_lexicon(request: str) -> Restated:
    """What `nails.language.phrases` makes of a request: serving uses it, models are compared with it."""
    reading = parse_request(request)
    return Restated(tuple(reading.mdd), tuple(reading.nnp))


def find_json_object(answer: str) -> dict[str, Any]:
    """The first JSON object in an answer; prose, code fences and thoughts around it are passed over.

    ItemError "refused" where there is none and the answer says no, else "malformed".
    """
    text = _THOUGHT.sub(" ", answer[:_MAX_ANSWER])
    decoder = json.JSONDecoder()
    for brace in islice(re.finditer(r"\{", text), _MAX_STARTS):
        try:
            return dict(decoder.raw_decode(text, brace.start())[0])
        except (ValueError, RecursionError):
            continue
    kind: Kind = "refused" if _REFUSAL.search(text[:300]) else "malformed"
    raise ItemError(kind, f"no JSON object in {_shown(text)}")


def read_description(answer: str) -> str:
    """The description that was asked for, on one line; "" where the model saw no nail."""
    found = find_json_object(answer).get("description")
    if not isinstance(found, str):
        raise ItemError("malformed", f'"description": a string expected in {_shown(answer)}')
    text = " ".join(found.split())
    if len(text) > MAX_DESCRIPTION:
        raise ItemError(
            "malformed", f'"description": {len(text)} characters, at most {MAX_DESCRIPTION} expected'
        )
    return text


def read_restatement(answer: str) -> Restated:
    """The restatement asked for. Phrases beyond the limits of `nails.language.phrases` are left out."""
    found = find_json_object(answer)
    return Restated(_phrases(found, "mdd", MAX_MDD), _phrases(found, "nnp", MAX_NNP))


def read_score(answer: str) -> float:
    """The confidence in [0, 1] of a judge that was asked for a number from 0 to 100."""
    found = find_json_object(answer).get("score")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ItemError("malformed", f'"score": a number expected in {_shown(answer)}')
    if not 0 <= found <= 100:  # false for NaN too
        raise ItemError("malformed", f'"score": 0 to 100 expected, found {found}')
    return found / 100


def _phrases(found: dict[str, Any], field: str, most: int) -> tuple[str, ...]:
    value = found.get(field)
    if not isinstance(value, list) or not all(isinstance(phrase, str) for phrase in value):
        raise ItemError("malformed", f'"{field}": a list of strings expected, found {_shown(repr(value))}')
    phrases = (" ".join(phrase.split()) for phrase in value)
    return tuple(dict.fromkeys(phrase for phrase in phrases if 0 < len(phrase) <= _MAX_PHRASE))[:most]


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 120 else line[:119] + "…")
