"""Precision variants and their gate: what is made, what is measured, what is refused."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from onnx import TensorProto, helper, numpy_helper

from services.kit.inference.config import read_config
from tests.training.tiny_models import write_models, write_photos
from training.kit.export.model import run_onnx
from training.parity.__main__ import main
from training.parity.chain import REFERENCE, Chain, Difference, Session
from training.parity.measure import Row, alone_cosine, overlap, refusals
from training.parity.precision import halved, int8_dynamic, rounded, widened
from training.parity.probe import ProbeError, drawn_probe, real_probe

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
MODELS = ("image_align", "image_style", "text_encode", "design_fuse", "query_fuse")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("drawn") / "drawn")


@pytest.fixture(scope="module")
def variants(served: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("variants")
    arguments = ["make", "--models", str(served), "--out", str(out), "--data", str(photos), "--photos", "4"]
    assert main(arguments) == 0
    return out


def graph_of(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], width: int = 3) -> onnx.ModelProto:
    """x f32 [N,width] -> y f32 [N,width]."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name in "xy"]
    initialisers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def ran(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return Session(model.SerializeToString())({"x": x})["y"]


def test_every_result_is_rounded_as_half_floats_are() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(1, 3)).astype(np.float32)
    x = rng.normal(size=(50, 3)).astype(np.float32)
    model = graph_of(
        [helper.make_node("Mul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "x"], ["y"])],
        {"w": weight},
    )
    half = x.astype(np.float16)
    expected = half * weight.astype(np.float16) + half
    assert np.array_equal(ran(rounded(model), x), expected.astype(np.float32))
    assert not np.array_equal(ran(model, x), expected.astype(np.float32))


def test_an_overflow_that_this_machine_hides_is_seen() -> None:
    factor = np.array([300.0], np.float32)
    model = graph_of(
        [helper.make_node("Mul", ["x", "c"], ["p"]), helper.make_node("Div", ["p", "c"], ["y"])],
        {"c": factor},
    )
    x = np.array([[1.0, 2.0, 300.0]], np.float32)
    assert np.isfinite(ran(halved(model), x)).all()
    found = ran(rounded(model), x)
    assert np.isinf(found[0, 2]) and np.array_equal(found[0, :2], x[0, :2])
    difference = Difference()
    difference.add(found, x)
    assert difference.shown() == {"cosine_mean": -1.0, "cosine_worst": -1.0, "max_error": float("inf")}


def test_weights_stored_as_half_floats_come_back_as_floats(served: Path) -> None:
    path = served / "query_fuse/1/model.onnx"
    assert any(t.data_type == TensorProto.FLOAT16 for t in onnx.load(path).graph.initializer)
    model = widened(path)
    assert not any(t.data_type == TensorProto.FLOAT16 for t in model.graph.initializer)
    rng = np.random.default_rng(1)
    feeds = {
        v.name: rng.normal(size=(2, *(d.dim_value for d in v.type.tensor_type.shape.dim[1:]))).astype(
            np.float32
        )
        for v in model.graph.input
    }
    found = Session(model.SerializeToString())(feeds)["embedding"]
    assert np.array_equal(found, run_onnx(path, feeds)["embedding"])


@pytest.mark.parametrize("model", MODELS)
def test_half_floats_inside_the_contracts_types_outside(variants: Path, served: Path, model: str) -> None:
    half, full = (onnx.load(folder / model / "1/model.onnx") for folder in (variants / "fp16", served))
    for ends in ("input", "output"):
        types = [
            [(v.name, v.type.tensor_type.elem_type) for v in getattr(graph.graph, ends)]
            for graph in (half, full)
        ]
        assert types[0] == types[1]
    assert not any(t.data_type == TensorProto.FLOAT for t in half.graph.initializer)


def test_a_variant_is_served_as_its_model_is(variants: Path, served: Path) -> None:
    for precision, model in (("fp16", "text_encode"), ("int8", "design_fuse"), ("int8-cpu", "image_style")):
        variant, reference = (read_config(folder / model) for folder in (variants / precision, served))
        assert variant.metadata.inputs == reference.metadata.inputs
        assert variant.metadata.outputs == reference.metadata.outputs
        assert variant.metadata.fingerprint != reference.metadata.fingerprint
        assert variant.metadata.parameters["precision"] == precision
    assert read_config(variants / "int8/query_fuse").metadata.max_batch_size == 1
    assert read_config(variants / "int8/image_align").metadata.max_batch_size == 16
    engines = {
        (precision, model): tomllib.loads((variants / precision / model / "model.toml").read_text())
        .get("tensorrt", {})
        .get("engine", True)
        for precision, model in (("int8", "image_align"), ("int8", "query_fuse"), ("int8-cpu", "image_align"))
    }
    assert list(engines.values()) == [True, False, False]


def test_calibrated_convolutions_have_the_form_that_tensorrt_takes(variants: Path) -> None:
    graph = onnx.load(variants / "int8/image_align/1/model.onnx").graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    makers = {name: node for node in graph.node for name in node.output}
    assert len(convolutions) == 2
    for node in convolutions:
        assert [makers[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
        _, scale, zero = makers[node.input[1]].input
        assert stored[scale].size > 1 and not stored[zero].any()
        assert stored[node.input[2]].dtype == np.float32
    zeros = [stored[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert zeros and all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    unsigned = onnx.load(variants / "int8-cpu/image_align/1/model.onnx").graph
    stored = {t.name: numpy_helper.to_array(t) for t in unsigned.initializer}
    codes = {stored[n.input[2]].dtype for n in unsigned.node if n.op_type == "QuantizeLinear"}
    assert codes == {np.dtype(np.uint8)}


def test_scales_taken_from_a_batch_make_an_item_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(3, 3)).astype(np.float32)
    model = graph_of([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight})
    examples = [{"x": np.float32(scale) * rng.normal(size=(1, 3)).astype(np.float32)} for scale in (1, 1, 40)]
    quantised = Session(int8_dynamic(model).SerializeToString())
    found = alone_cosine(quantised, examples, 8)
    assert found is not None and found < 0.999
    exact = alone_cosine(Session(model.SerializeToString()), examples, 8)
    assert exact is not None and exact > 0.9999999
    assert alone_cosine(quantised, examples, 1) is None


def test_overlap_counts_the_first_designs_that_stay() -> None:
    reference = np.array([[4, 3, 2, 1], [1, 2, 3, 4]], np.float32)
    swapped = np.array([[3, 4, 2, 1], [1, 5, 3, 4]], np.float32)
    assert overlap(reference, reference, 2) == 1.0
    assert overlap(swapped, reference, 2) == pytest.approx(0.75)
    assert overlap(-reference, reference, 10) == 1.0  # there are only four


def test_the_gate_says_what_is_wrong() -> None:
    good = {"cosine_mean": 1.0, "cosine_worst": 0.9991, "max_error": 0.01}
    bad = good | {"cosine_worst": 0.9989}
    assert not refusals(Row("m", "fp16", {"a": good}, 1.0, 1.0, {"p": 0.98}), "p")
    assert not refusals(Row("m", "int8", {"a": bad}, None, None, {"p": 0.98}), "p")
    found = refusals(Row("m", "fp16", {"a": good, "b": bad}, 0.5, 0.9, {"p": 0.979}), "p")
    assert [reason.split(":")[0].split(" 0")[0] for reason in found] == [
        "b",
        "the file itself",
        "top-10 overlap",
        "an item changes with its batch",
    ]
    assert refusals(Row("all", "fp16", {}, None, None, {"p": 1.0}, 2), "p") == ["2 vectors are not finite"]
    nothing = {"cosine_worst": float("nan")}
    assert len(refusals(Row("m", "fp16", {"a": nothing}, None, None, {"p": 1.0}), "p")) == 1


def test_the_chain_exchanges_one_model_and_keeps_the_others(served: Path, photos: Path) -> None:
    probe = drawn_probe(photos, "test", 6, {"002": "red nails"})
    assert probe.targets.shape == (6, 6) and (probe.targets == np.eye(6)).all()
    sessions = {name: {REFERENCE: Session(served / name / "1/model.onnx")} for name in MODELS}
    calls: list[str] = []

    class Negated(Session):
        def __call__(self, feeds: Any) -> Any:
            calls.append("image_style")
            return {name: -value for name, value in super().__call__(feeds).items()}

    sessions["image_style"]["negated"] = Negated(served / "image_style/1/model.onnx")
    chain = Chain(probe, sessions)
    assert calls == ["image_style"] * 6
    assert chain.difference("image_style", "negated")["embedding"].cosines == pytest.approx([-1.0] * 6)
    before, after = chain.designs({}), chain.designs({"image_style": "negated"})
    assert len(calls) == 6  # nothing is embedded again
    assert np.abs(before - after).max() > 1e-3
    assert chain.queries({"image_style": "negated"}) is chain.queries({})
    assert chain.lost({"image_style": "negated"}) == 0
    after[2] = np.nan
    assert chain.lost({"image_style": "negated"}) == 1
    ranking = chain.ranking({"image_style": "negated"})
    assert (ranking.argmin(axis=1) == 2).all()
    whole, crop = probe.photos[1].views()
    see = [sessions["image_align"][REFERENCE]({"images": view[None]})["embedding"] for view in (whole, crop)]
    style = sessions["image_style"][REFERENCE]({"images": whole[None]})["embedding"]
    text = chain._texts[REFERENCE]["red nails"][None]
    feeds = {"style": style, "align": see[0], "crop": see[1], "text": text}
    assert np.allclose(sessions["design_fuse"][REFERENCE](feeds)["embedding"], before[1], atol=1e-6)


def compare(served: Path, photos: Path, variants: Path, report: Path, *more: str) -> int:
    arguments = ["compare", "--models", str(served), "--data", str(photos), "--variants", str(variants)]
    return main([*arguments, "--photos", "16", "--json", str(report), "--gate", *more])


def test_good_variants_pass_and_a_bad_one_is_refused(
    served: Path, photos: Path, variants: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ("--only", "image_style.fp16,query_fuse.fp16")
    assert compare(served, photos, variants, tmp_path / "report.json", *only) == 0
    assert "query_fuse.fp16: passes" in capsys.readouterr().out
    rows = {
        (row["model"], row["variant"]): row
        for row in json.loads((tmp_path / "report.json").read_text())["rows"]
    }
    assert set(rows) == {("all", REFERENCE), ("image_style", "fp16"), ("query_fuse", "fp16"), ("all", "fp16")}
    probe = "drawn, test, 16 photos"
    assert rows["all", REFERENCE]["overlap"][probe] == 1.0
    style = rows["image_style", "fp16"]
    assert 0.9999 < style["outputs"]["embedding"]["cosine_worst"] <= 1.0 and style["time_ratio"] > 0
    figures = rows["all", "fp16"]["figures"][probe]
    assert figures["en"] == figures["all"] and 0 <= figures["all"]["hit@1"] <= figures["all"]["hit@10"] <= 1

    broken = tmp_path / "broken"
    shutil.copytree(variants / "fp16/image_style", broken / "fp16/image_style")
    path = broken / "fp16/image_style/1/model.onnx"
    model = onnx.load(path)
    bias = next(t for t in model.graph.initializer if list(t.dims) == [8])
    off = numpy_helper.to_array(bias) + np.linspace(-1, 1, 8).astype(np.float16)
    bias.CopyFrom(numpy_helper.from_array(off, bias.name))
    onnx.save(model, path)
    assert compare(served, photos, broken, tmp_path / "broken.json") == 1
    printed = capsys.readouterr()
    assert "image_style.fp16: refused: the file itself: worst cosine" in printed.out
    assert "1 of 1 may not be promoted: image_style.fp16" in printed.err


def test_variants_of_other_weights_are_not_compared(
    served: Path, photos: Path, variants: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "models"
    shutil.copytree(served, other)
    path = other / "query_fuse/1/model.onnx"
    model = onnx.load(path)
    model.doc_string = "trained again"
    onnx.save(model, path)
    assert compare(other, photos, variants, tmp_path / "report.json", "--only", "query_fuse.int8") == 1
    assert "made of other weights" in capsys.readouterr().err
    assert compare(other, photos, tmp_path, tmp_path / "report.json") == 1
    assert "no variants there" in capsys.readouterr().err


def test_photos_without_a_crop_are_named(photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(photos, folder)
    listing = folder / "nailstar.jsonl"
    lines = [json.loads(line) for line in listing.read_text().splitlines()]
    del lines[2]["crop"]
    listing.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ProbeError, match=r"002: crop\.box"):
        drawn_probe(folder, "test", 16)
    (folder / "requests.jsonl").write_text('{"image": "images/000.png", "requests": {"en": "red nails"}}\n')
    with pytest.raises(
        ProbeError, match=r"requests\.jsonl:1: .*000\.crop\.png does not exist: run `lunula crop"
    ):
        real_probe(folder, tmp_path)
    shutil.copy(folder / "images/000.png", tmp_path / "000.crop.png")
    probe = real_probe(folder, tmp_path)
    assert [request.lang for request in probe.requests] == ["en"] and probe.targets.tolist() == [[True]]
