"""How well hands are found in synthetic photos: boxes, joints, the target hand, and the crop.

A folder is one that `training.synth` wrote (`images/`, `index.jsonl`). Four kinds of figure:
- boxes: a found hand is right when its IoU with a labelled one is at least 0.5, each used once; a photo
  without a hand in which one is found has a phantom;
- joints: PCK@0.1, the share of joints found within a tenth of the longer side of their hand's box. Over all
  joints that lie in the photo, hidden ones too, and over the visible ones alone; once given the labelled box
  (the pose model by itself) and once end to end, where a hand that was not found has no joint right;
- target: on photos with two hands or more, whether the nails that the rules give to the target hand are those
  of the true one: more than half of them, and more than half of its nails;
- crop: IoU with the crop that the rules give when everything is known, and which rule applied.
The last two come from the found nails, and from the labelled nails with the found hands, which says what the
hands alone cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.perception.labelled import Entry
from nails.perception.boxes import box_iou
from nails.perception.crop_rules import Crop, CropRule, choose_crop
from nails.perception.hands import JOINTS, Hand
from nails.perception.nail_decode import NailInstance

MATCH_IOU = 0.5
NEAR_SHARE = 0.1
# A hand of which less is to be seen, in pixels of the shorter side, is not asked for.
LEAST_SIDE = 8
NAIL_IOU = 0.3  # a found nail is a labelled one from here: enough to tell whose it is

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Perception(Protocol):
    """The models under test. Boxes are (x0, y0, x1, y1) in photo pixels, images uint8 [H,W,3]."""

    def nails(self, image: Image) -> Sequence[NailInstance]:
        """The nails of a photo."""

    def hands(self, image: Image) -> Sequence[Hand]:
        """The hands of a photo, with their joints."""

    def posed(self, image: Image, boxes: Floats) -> Sequence[Hand]:
        """The hands in given boxes [n,4]."""


@dataclass(frozen=True, eq=False)
class TrueHand:
    """box f64 [4] around what is seen of the hand; joints f64 [21,2]; inside, visible bool [21]."""

    box: Floats
    joints: Floats
    inside: NDArray[np.bool_]
    visible: NDArray[np.bool_]

    @property
    def reach(self) -> float:
        """How far from a joint its finding may be, in pixels."""
        return NEAR_SHARE * float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))


@dataclass(frozen=True, eq=False)
class Truth:
    """The labels of a synthetic photo.

    hands: those of which something is seen. boxes f64 [n,4], centroids f64 [n,2], areas f64 [n] and owners
    (int [n]: which hand of the drawing) of the nails. target: the drawing's hand that the rules choose, -1
    for none.
    """

    name: str
    size: tuple[int, int]
    hands: tuple[TrueHand, ...]
    boxes: Floats
    centroids: Floats
    areas: Floats
    owners: NDArray[np.intp]
    crop: Floats
    rule: CropRule
    target: int

    @property
    def many(self) -> bool:
        """Whether there is a choice of hands."""
        return len(self.hands) > 1


@dataclass
class Joints:
    """Counts of joints: right and asked for, all in the photo and visible ones."""

    right: int = 0
    inside: int = 0
    visible_right: int = 0
    visible: int = 0

    def count(self, hand: TrueHand, found: Hand | None) -> None:
        """Adds one hand; `found` None where it was missed."""
        near = np.zeros(JOINTS, bool)
        if found is not None:
            distance = np.linalg.norm(found.joints.astype(np.float64) - hand.joints, axis=1)
            near = (distance <= hand.reach) & (found.joint_scores > 0)
        self.right += int(near[hand.inside].sum())
        self.inside += int(hand.inside.sum())
        self.visible_right += int(near[hand.visible].sum())
        self.visible += int(hand.visible.sum())

    def as_dict(self) -> dict[str, float | int]:
        """PCK@0.1 in [0, 1]; 0 without joints."""
        return {
            "pck": self.right / max(1, self.inside),
            "pck_visible": self.visible_right / max(1, self.visible),
            "joints": self.inside,
            "visible": self.visible,
        }


@dataclass
class Cropping:
    """Counts of what the rules made of one photo after another."""

    targets: int = 0
    targets_right: int = 0
    ious: list[float] = field(default_factory=list)
    rules_right: int = 0
    rules: Counter[str] = field(default_factory=Counter)

    def count(self, truth: Truth, crop: Crop, owners: NDArray[np.intp]) -> None:
        """Adds a photo. owners: the true hand of each nail `crop` was decided on, -1 for no true nail."""
        self.ious.append(float(box_iou(np.array(crop.box), truth.crop[None])[0]))
        self.rules[crop.rule.name] += 1
        self.rules_right += crop.rule == truth.rule
        if truth.many and truth.target >= 0:
            self.targets += 1
            self.targets_right += is_target(truth, crop, owners)

    def as_dict(self) -> dict[str, Any]:
        """Shares in [0, 1]."""
        photos = max(1, len(self.ious))
        return {
            "target_hand": self.targets_right / max(1, self.targets),
            "target_photos": self.targets,
            "crop_iou": float(np.mean(self.ious)) if self.ious else 0.0,
            "crop_iou_at_least_0.8": sum(iou >= 0.8 for iou in self.ious) / photos,
            "same_rule": self.rules_right / photos,
            "rules": dict(sorted(self.rules.items())),
        }


@dataclass
class HandsReport:
    """Everything that is counted over a folder."""

    photos: int = 0
    labelled: int = 0
    found: int = 0
    right: int = 0
    empty: int = 0
    phantoms: int = 0
    given_box: Joints = field(default_factory=Joints)
    end_to_end: Joints = field(default_factory=Joints)
    true_nails: Cropping = field(default_factory=Cropping)
    found_nails: Cropping = field(default_factory=Cropping)

    @property
    def precision(self) -> float:
        """Share of found hands that are labelled ones."""
        return self.right / max(1, self.found)

    @property
    def recall(self) -> float:
        """Share of labelled hands that are found."""
        return self.right / max(1, self.labelled)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.right / max(1, self.found + self.labelled)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "photos": self.photos,
            "hands": self.labelled,
            "hand_precision": self.precision,
            "hand_recall": self.recall,
            "hand_f1": self.f1,
            "photos_without_a_hand": self.empty,
            "phantom_share": self.phantoms / max(1, self.empty),
            "joints_given_box": self.given_box.as_dict(),
            "joints_end_to_end": self.end_to_end.as_dict(),
            "crop_from_true_nails": self.true_nails.as_dict(),
            "crop_from_found_nails": self.found_nails.as_dict(),
        }


@dataclass(frozen=True, eq=False)
class Seen:
    """What the models made of one photo: nails, hands, and the crop from both."""

    nails: Sequence[NailInstance]
    hands: Sequence[Hand]
    crop: Crop


def look(perception: Perception, image: Image) -> Seen:
    """Nails and hands of a photo uint8 [H,W,3] and what the rules make of them, as CropService does."""
    nails, hands = perception.nails(image), perception.hands(image)
    crop = choose_crop(
        np.array([nail.box for nail in nails], np.float64).reshape(-1, 4),
        np.array([nail.centroid for nail in nails], np.float64).reshape(-1, 2),
        np.array([nail.area for nail in nails], np.float64),
        [hand.scored_joints for hand in hands],
        (image.shape[1], image.shape[0]),
    )
    return Seen(nails, hands, crop)


def read_truth(entry: Entry) -> Truth:
    """The labels of a synthetic photo. Raises DataError where its line of index.jsonl does not say them."""
    record = entry.record
    if record is None:
        raise DataError(f"{entry.name}: without an index.jsonl nothing is known of its hands")
    try:
        return _truth(record, entry.name)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{entry.name} of index.jsonl: {error!r}") from error


def _truth(record: Mapping[str, Any], name: str) -> Truth:
    width, height = (int(side) for side in record["size"])
    hands = []
    for hand in record["hands"]:
        box = np.array(hand["box"], np.float64)
        rows = np.array(hand["joints"], np.float64).reshape(JOINTS, 3)
        if min(box[2] - box[0], box[3] - box[1]) > LEAST_SIDE:
            inside = ((rows[:, :2] >= 0) & (rows[:, :2] < [width, height])).all(axis=1) & (rows[:, 2] > 0)
            hands.append(TrueHand(box, rows[:, :2], inside, inside & (rows[:, 2] > 1)))
    nails = record["nails"]
    return Truth(
        name=name,
        size=(width, height),
        hands=tuple(hands),
        boxes=np.array([nail["box"] for nail in nails], np.float64).reshape(-1, 4),
        centroids=np.array([nail["centroid"] for nail in nails], np.float64).reshape(-1, 2),
        areas=np.array([nail["area"] for nail in nails], np.float64),
        owners=np.array([nail["hand"] for nail in nails], np.intp),
        crop=np.array(record["crop"]["box"], np.float64),
        rule=CropRule(int(record["crop"]["rule"])),
        target=int(record["crop"]["target_hand"]),
    )


def matched(found: Sequence[Hand], hands: Sequence[TrueHand]) -> dict[int, int]:
    """For each labelled hand that is found (IoU >= 0.5, best score first) the index of its finding."""
    pairs: dict[int, int] = {}
    if not hands:
        return pairs
    boxes = np.stack([hand.box for hand in hands])
    for index in sorted(range(len(found)), key=lambda i: -found[i].score):
        overlap = box_iou(found[index].box.astype(np.float64), boxes)
        overlap[list(pairs)] = 0.0
        best = int(overlap.argmax())
        if overlap[best] >= MATCH_IOU:
            pairs[best] = index
    return pairs


def is_target(truth: Truth, crop: Crop, owners: NDArray[np.intp]) -> bool:
    """Whether the nails of the crop's target hand are mostly, and most of, the true target's."""
    if crop.target_hand < 0:
        return False
    chosen = owners[np.array(crop.hand_of_nail, np.intp) == crop.target_hand]
    right = int((chosen == truth.target).sum())
    return 2 * right > len(chosen) and 2 * right > int((truth.owners == truth.target).sum())


def assign_owners(nails: Sequence[NailInstance], truth: Truth) -> NDArray[np.intp]:
    """The true hand of each found nail, -1 where it is no labelled nail."""
    owners = np.full(len(nails), -1, np.intp)
    if len(truth.boxes):
        for index, nail in enumerate(nails):
            overlap = box_iou(np.array(nail.box, np.float64), truth.boxes)
            best = int(overlap.argmax())
            if overlap[best] >= NAIL_IOU:
                owners[index] = truth.owners[best]
    return owners


def count_photo(report: HandsReport, truth: Truth, image: Image, perception: Perception) -> Seen:
    """Adds a photo uint8 [H,W,3] to `report`, and returns what the models saw in it."""
    seen = look(perception, image)
    pairs = matched(seen.hands, truth.hands)
    report.photos += 1
    report.labelled += len(truth.hands)
    report.found += len(seen.hands)
    report.right += len(pairs)
    if not truth.hands:
        report.empty += 1
        report.phantoms += bool(seen.hands)
    else:
        given = perception.posed(image, np.stack([hand.box for hand in truth.hands]))
        for index, (hand, posed) in enumerate(zip(truth.hands, given, strict=True)):
            report.given_box.count(hand, posed)
            report.end_to_end.count(hand, seen.hands[pairs[index]] if index in pairs else None)
    joints = [hand.scored_joints for hand in seen.hands]
    by_truth = choose_crop(truth.boxes, truth.centroids, truth.areas, joints, truth.size)
    report.true_nails.count(truth, by_truth, truth.owners)
    report.found_nails.count(truth, seen.crop, assign_owners(seen.nails, truth))
    return seen
