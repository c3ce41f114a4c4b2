from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve

from bebertlab.artifacts.classes import class_order, read_classifier
from bebertlab.artifacts.model import read_model, read_teacher
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.examples import load_examples
from bebertlab.errors import UserError
from bebertlab.inference.predict import predict
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.stage import Artifact, Codec, Context
from bebertlab.interfaces.task import SELECT, Task
from bebertlab.model.folder import load_model, save_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_binarybert import Bwn

OURS = ("contradiction", "entailment", "neutral")
HUB = ("entailment", "neutral", "contradiction")


@pytest.fixture(scope="module")
def nli() -> Task:
    return evolve(tiny_task(), name="nli", classes=OURS, data_order=HUB)


@pytest.fixture
def context(nli: Task, codec: OptionsCodec, tmp_path: Path) -> Context:
    return StageRunner(tmp_path / "bench", codec).context(nli)


@pytest.fixture
def folder(nli: Task, codec: Codec, tmp_path: Path) -> Path:
    """A classifier that names its classes in another order than the task."""
    save_model(tiny_model(nli, seed=3), tmp_path / "model", codec, classes=HUB)
    return tmp_path / "model"


def renamed(folder: Path, **changes: Any) -> Path:  # noqa: ANN401 - any JSON
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def by_output(*names: str) -> dict[str, Any]:
    return {"id2label": {str(output): name for output, name in enumerate(names)}, "label2id": None}


@pytest.mark.parametrize("spec", [QuantSpec(), QuantSpec(weights={Site.QUERY: Bwn()})])
def test_outputs_are_reordered_for_the_task(spec: QuantSpec, context: Context, tmp_path: Path) -> None:
    given = tiny_model(context.task, spec, seed=3)
    with torch.no_grad():
        given.classifier.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    save_model(given, tmp_path / "model", context.codec, classes=HUB)
    warnings: list[str] = []
    actual = read_classifier(tmp_path / "model", evolve(context, warn=warnings.append)).tensors
    for name, tensor in given.state_dict().items():
        rows = [HUB.index(label) for label in OURS] if name.startswith("classifier.") else slice(None)
        assert torch.equal(actual[name], tensor[rows] if tensor.ndim else tensor), name
    assert not warnings


def test_models_of_other_stages_are_matched_too(folder: Path, context: Context) -> None:
    artifact = Artifact(stage="theirs", key="k", folder=folder, seconds=0.0)
    examples = load_examples(context.task, SELECT, tiny_tokenizer(folder), 32)
    expected = predict(load_model(folder, context.codec), examples)[:, [2, 0, 1]]
    assert torch.equal(predict(read_model(artifact, context), examples), expected)
    assert torch.equal(read_teacher(artifact, context).logits(examples), expected)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"id2label": None, "label2id": None}, "names no classes"),
        ({"id2label": {}, "label2id": {}}, "names no classes"),
        (by_output("LABEL_0", "LABEL_1", "LABEL_2"), r"only numbers its classes \(LABEL_0, LABEL_1, LABEL_2\)"),
        (by_output("0", "1", "2"), r"only numbers its classes \(0, 1, 2\)"),
    ],
)
def test_without_class_names_the_warning_has_both_orders(
    names: dict[str, Any], problem: str, folder: Path, nli: Task
) -> None:
    order = class_order(renamed(folder, **names), 3, nli)
    assert order.outputs == (0, 1, 2)
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(order.warning)
    assert order.warning is not None
    assert "in the order of task 'nli', contradiction, entailment, neutral;" in order.warning
    assert "class numbers of the data has the order entailment, neutral, contradiction" in order.warning
    without = class_order(folder, 3, evolve(nli, data_order=())).warning
    assert without is not None
    assert "class numbers of the data" not in without


def test_a_folder_without_class_names_is_warned_of(folder: Path, context: Context) -> None:
    warnings: list[str] = []
    given = evolve(context, warn=warnings.append)
    model = read_classifier(renamed(folder, id2label=None, label2id=None), given)
    assert torch.equal(model.tensors["classifier.weight"], load_model(folder, context.codec).classifier.weight)
    assert [text.partition(":")[0] for text in warnings] == ["the model's config.json names no classes"]
    read_classifier(folder, given, HUB)
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (by_output("NEG", "POS", "NONE"), "named NEG, POS, NONE; the classes of the task are contradiction, entail"),
        (by_output("entailment", "neutral", "other"), "named entailment, neutral, other; the classes of the task are"),
        (by_output("LABEL_2", "LABEL_1", "LABEL_0"), "named LABEL_2, LABEL_1, LABEL_0; the classes of the task are"),
        ({"label2id": dict(zip(OURS, range(3), strict=True))}, "id2label and label2id contradict each other"),
        (by_output("entailment", "neutral"), "must name each of the outputs 0 to 2 once"),
    ],
)
def test_names_that_do_not_fit_are_refused_unless_the_order_is_stated(
    names: dict[str, Any], message: str, folder: Path, nli: Task
) -> None:
    renamed(folder, **names)
    with pytest.raises(
        UserError, match=rf"config\.json: .*{message}.*; correct that file, or set the option `classes`"
    ):
        class_order(folder, 3, nli)
    assert class_order(folder, 3, nli, HUB).outputs == (2, 0, 1)


def test_the_stated_order_is_used_where_the_file_has_none(folder: Path, nli: Task) -> None:
    assert class_order(folder, 3, nli, ("Entailment", "NEUTRAL", "contradiction")).outputs == (2, 0, 1)
    renamed(folder, **by_output("LABEL_0", "LABEL_1", "LABEL_2"))
    assert class_order(folder, 3, nli, HUB).warning is None
    assert class_order(folder, 3, nli, OURS).outputs == (0, 1, 2)


def test_a_stated_order_must_match_the_task_and_the_file(folder: Path, nli: Task) -> None:
    for stated in (("a", "b", "c"), HUB[:2], ("0", "1", "2"), ("entailment", "entailment", "neutral"), ()):
        with pytest.raises(UserError, match="expected the classes of task 'nli', contradiction, entailment, neutral"):
            class_order(folder, 3, nli, stated)
    for names in (HUB, ("entailment", "neutral", "other")):
        renamed(folder, **by_output(*names))
        with pytest.raises(UserError, match=r"named entailment, neutral, .*, but `classes` is contradiction, entail"):
            class_order(folder, 3, nli, OURS)


def test_outputs_that_are_not_classes_of_the_task_are_refused(folder: Path, nli: Task) -> None:
    renamed(folder, problem_type="multi_label_classification")
    for stated in (None, HUB):
        with pytest.raises(UserError, match="problem_type is 'multi_label_classification'; expected 'single_label_cl"):
            class_order(folder, 3, nli, stated)
    with pytest.raises(UserError, match="has 3 outputs, task 'tiny' needs 2"):
        class_order(folder, 3, tiny_task())


def test_the_output_of_a_regression_needs_no_name(codec: Codec, tmp_path: Path) -> None:
    task = tiny_task(regression=True)
    save_model(tiny_model(task), tmp_path, codec)
    for name in ("LABEL_0", "similarity"):
        order = class_order(renamed(tmp_path, **by_output(name)), 1, task)
        assert (order.outputs, order.warning) == ((0,), None)
    with pytest.raises(UserError, match="`classes` is set, but task 'tiny' is a regression"):
        class_order(tmp_path, 1, task, ("similarity",))
