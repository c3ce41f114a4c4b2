from __future__ import annotations

from collections.abc import Callable
from math import floor

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.data.batches import batches
from bebertlab.errors import UserError
from bebertlab.inference.predict import predict
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec, Site
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.task import Task
from bebertlab.model import embedding as sparse
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.slice import (
    SubNetwork,
    full_name,
    kept_layers,
    phase_networks,
    slice_depth,
    slice_width,
    target_of,
)
from bebertlab.testing.tiny import tiny_model
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.loop import fit
from bebertlab.training.objective import PhaseLoss
from bebertlab.training.optimizers import Optimizer
from bebertlab.training.selection import Selection
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher
from bebertlab_binarybert import Bwn

SetUpTraining = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]
HIDDEN = frozenset({Tap.HIDDEN})
ALL = Phase(name="p", widths=(0.5, 1.0), depths=(1.0, 0.5))


def without_dropout(task: Task, seed: int = 0) -> BertClassifier:
    checkpoint = tiny_model(task, seed=seed).checkpoint()
    sizes = evolve(checkpoint.architecture, dropout=0.0, attention_dropout=0.0)
    return BertClassifier.from_checkpoint(evolve(checkpoint, architecture=sizes))


def sliced(model: BertClassifier, width: float, depth: float) -> BertClassifier:
    return BertClassifier.from_checkpoint(slice_depth(slice_width(model.checkpoint(), width), depth))


def test_the_largest_sub_network_is_first_and_is_the_model_itself(task: Task) -> None:
    model = tiny_model(task)
    networks = phase_networks(model, ALL, "student")
    assert networks[0] is model
    sizes = [item.meta_model.architecture for item in networks if isinstance(item, SubNetwork)]
    assert [(s.heads, s.layers) for s in sizes] == [(1, 2), (2, 1), (1, 1)]
    assert phase_networks(model, Phase(name="p"), "student") == (model,)


def test_impossible_sub_networks_are_refused(task: Task) -> None:
    quantized = tiny_model(task, QuantSpec(weights={Site.QUERY: Bwn()}))
    with pytest.raises(UserError, match="student: phase 'p' trains sub-networks: only a full-precision model"):
        phase_networks(quantized, Phase(name="p", widths=(1.0, 0.5)), "student")
    assert phase_networks(quantized, Phase(name="p"), "student") == (quantized,)
    with pytest.raises(UserError, match=r"width 0\.1 keeps none of 2 heads"):
        phase_networks(tiny_model(task), Phase(name="p", widths=(0.1,)), "student")


def test_a_shallower_network_learns_the_inputs_of_its_layers(task: Task) -> None:
    model = tiny_model(task)
    states = tuple(torch.full((1,), float(index)) for index in range(3))
    teacher = Outputs(logits=states[0], taps={Tap.HIDDEN: states, Tap.SCORES: states[:2]})
    half = target_of(SubNetwork(model, width=1.0, depth=0.5), teacher)
    assert half is not None
    assert half.taps == {Tap.HIDDEN: (states[0], states[2]), Tap.SCORES: (states[0],)}
    assert half.logits is teacher.logits
    for same in (model, SubNetwork(model, width=0.5, depth=1.0)):
        assert target_of(same, teacher) is teacher
        assert target_of(same, None) is None
    shallow = Outputs(logits=states[0], taps={Tap.HIDDEN: states[:2]})
    with pytest.raises(UserError, match="needs a teacher of 2 layers; this one has 1"):
        target_of(SubNetwork(model, width=1.0, depth=0.5), shallow)


def test_a_step_follows_the_summed_losses_of_all_sub_networks(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients of the first step, against those of models that were sliced before."""
    actual: dict[str, Tensor] = {}
    model, teacher = without_dropout(task), tiny_model(task, seed=7)

    def keep(self: Optimizer, factor: float) -> None:
        actual.update({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})

    monkeypatch.setattr(Optimizer, "step", keep)
    setup = set_up_training(teacher=Teacher(teacher), train_epochs=1, train_batch_size=96)
    losses = (imitate(taps=HIDDEN), LabelsOptions())
    fit(model, evolve(ALL, losses=losses), setup)
    (batch,) = batches(setup.train, setup.sampler.epoch("p", 0, 96))
    expected = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for width, depth in ALL.subnets:
        part, kept = sliced(model, width, depth).train(), kept_layers(2, depth)
        torch.autograd.backward(PhaseLoss(losses, 2)(part(batch, HIDDEN), count_answers(teacher, batch, kept), batch))
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None
            expected[full_name(name, kept)][tuple(slice(size) for size in parameter.shape)] += parameter.grad
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(actual[name], gradient, atol=1e-5, rtol=1e-4)


def count_answers(teacher: BertClassifier, batch: Batch, kept: tuple[int, ...]) -> Outputs:
    with torch.no_grad():
        outputs: Outputs = teacher.eval()(batch, HIDDEN)
    states = outputs.taps[Tap.HIDDEN]
    return evolve(outputs, taps={Tap.HIDDEN: (*(states[layer] for layer in kept), states[-1])})


def test_the_teacher_runs_once_per_step(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = Teacher.answer, []

    def counted(self: Teacher, batch: Batch, taps: frozenset[Tap], *, dropout: bool = False) -> Outputs:
        asked.append(len(batch.positions))
        return answer(self, batch, taps, dropout=dropout)

    monkeypatch.setattr(Teacher, "answer", counted)
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=7)), train_epochs=1)
    fit(tiny_model(task), evolve(ALL, losses=(imitate(taps=HIDDEN),)), setup)
    assert asked == [16] * 6


def test_sub_networks_learn_and_every_training_is_the_same(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss
) -> None:
    phase = Phase(name="p", losses=(imitate(),), widths=(0.5, 1.0))
    models = [tiny_model(task), tiny_model(task)]
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=7)), train_epochs=6, train_learning_rate=0.01)

    def distance(model: BertClassifier) -> float:
        assert setup.teacher is not None
        answers = predict(sliced(model, 0.5, 1.0), setup.train)
        return float((answers - setup.teacher.logits(setup.train)).square().mean())

    far = distance(models[0])
    for model in models:
        fit(model, phase, setup)
        assert not any(parameter.grad is not None for parameter in model.parameters())
        assert not model.training
    assert distance(models[0]) < far / 3
    for item, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(item, other)


def test_a_large_table_gets_the_same_gradients_by_rows(
    task: Task, set_up_training: SetUpTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [tiny_model(task), tiny_model(task)]
    for model, large in zip(models, (2**15, 1), strict=True):
        monkeypatch.setattr(sparse, "LARGE", large)
        fit(model, evolve(ALL, losses=(LabelsOptions(),)), set_up_training(train_epochs=1))
    dense, by_rows = (predict(model, set_up_training().select) for model in models)
    torch.testing.assert_close(by_rows, dense, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(dense, predict(tiny_model(task), set_up_training().select), atol=1e-2)


def test_the_state_with_the_best_mean_is_kept(
    task: Task, set_up_training: SetUpTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(task)
    networks = phase_networks(model, Phase(name="p", widths=(1.0, 0.5)), "student")
    values = iter([60.0, 50.0, 90.0, 10.0, 58.0, 56.0, 60.0, 51.0])
    monkeypatch.setattr(Task, "evaluate", lambda *_: {"score": next(values)})
    selection = Selection(model, PhaseLoss([LabelsOptions()], 2), set_up_training(), by_loss=False, networks=networks)
    for number in range(4):
        with torch.no_grad():
            model.classifier.bias.fill_(number)
        selection.consider(last=number == 3)
    assert float(model.classifier.bias.detach()[0]) == 2.0
    assert next(values, None) is None


@pytest.fixture
def wide(sizes: Architecture) -> Checkpoint:
    return random_checkpoint(evolve(sizes, heads=4, ffn=24), seed=0, spread=0.3)


def test_half_of_bert_base_has_6_heads_and_1536_neurons() -> None:
    sizes = Architecture(vocabulary=3, positions=3, hidden=768, heads=12, head_size=64, ffn=3072, layers=1, classes=2)
    half = slice_width(random_checkpoint(sizes, seed=0), 0.5)
    assert (half.architecture.heads, half.architecture.head_size, half.architecture.ffn) == (6, 64, 1536)
    assert half.architecture.hidden == 768
    layer = "bert.encoder.layer.0."
    assert half.tensors[layer + "attention.self.query.weight"].shape == (384, 768)
    assert half.tensors[layer + "attention.output.dense.weight"].shape == (768, 384)
    assert half.tensors[layer + "intermediate.dense.weight"].shape == (1536, 768)
    assert half.tensors[layer + "output.dense.weight"].shape == (768, 1536)


def test_a_slice_equals_the_masked_whole(wide: Checkpoint, batch: Batch) -> None:
    half = BertClassifier.from_checkpoint(slice_width(wide, 0.5))
    masked = {name: tensor.clone() for name, tensor in wide.tensors.items()}
    for layer in range(2):  # the outputs of the removed heads and neurons are zero
        masked[f"bert.encoder.layer.{layer}.attention.output.dense.weight"][:, 8:] = 0
        masked[f"bert.encoder.layer.{layer}.output.dense.weight"][:, 12:] = 0
    whole = BertClassifier.from_checkpoint(evolve(wide, tensors=masked))
    torch.testing.assert_close(half(batch).logits, whole(batch).logits)
    assert not torch.allclose(half(batch).logits, BertClassifier.from_checkpoint(wide)(batch).logits, atol=1e-2)


def test_the_whole_width_is_a_copy(wide: Checkpoint) -> None:
    copy = slice_width(wide, 1.0)
    assert copy.architecture == wide.architecture
    assert all(torch.equal(copy.tensors[name], tensor) for name, tensor in wide.tensors.items())
    assert all(copy.tensors[name].data_ptr() != tensor.data_ptr() for name, tensor in wide.tensors.items())


@pytest.mark.parametrize(
    ("fraction", "heads", "ffn"),
    [(0.25, 1, 6), (0.5, 2, 12), (0.75, 3, 18), (0.6, 2, 12), (0.625, 2, 12), (0.375, 2, 12)],
)
def test_heads_are_rounded_and_neurons_follow_them(wide: Checkpoint, fraction: float, heads: int, ffn: int) -> None:
    sizes = slice_width(wide, fraction).architecture
    assert (sizes.heads, sizes.ffn) == (heads, ffn)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.1, float("nan")])
def test_widths_out_of_range_are_refused(wide: Checkpoint, fraction: float) -> None:
    with pytest.raises(UserError, match=r"must be in \(0, 1\]"):
        slice_width(wide, fraction)


def test_a_width_without_heads_is_refused(wide: Checkpoint) -> None:
    with pytest.raises(UserError, match=r"keeps none of 4 heads; expected at least 0\.25"):
        slice_width(wide, 0.1)


def test_a_quantized_model_keeps_its_width(quantized: Checkpoint) -> None:
    with pytest.raises(UserError, match="slice first, then quantize"):
        slice_width(quantized, 0.5)


@pytest.fixture
def deep(sizes: Architecture) -> Checkpoint:
    return random_checkpoint(evolve(sizes, layers=4), seed=0, spread=0.3)


@pytest.mark.parametrize(
    ("layers", "fraction", "kept"),
    [
        (12, 1.0, tuple(range(12))),
        (12, 0.75, (0, 1, 2, 4, 5, 6, 8, 9, 10)),
        (12, 0.5, (0, 2, 4, 6, 8, 10)),
        (12, 0.25, (0, 4, 8)),
        (5, 0.5, (0, 2)),  # 2.5 layers are 2
        (3, 0.5, (0, 2)),  # and 1.5 are 2
        (2, 0.75, (0, 1)),
    ],
)
def test_the_layers_of_the_paper(layers: int, fraction: float, kept: tuple[int, ...]) -> None:
    assert kept_layers(layers, fraction) == kept


@given(layers=st.integers(1, 48), fraction=st.floats(0.01, 1.0))
def test_kept_layers_are_ascending_and_in_range(layers: int, fraction: float) -> None:
    if round(layers * fraction) == 0:
        with pytest.raises(UserError, match=r"keeps none of \d+ layers"):
            kept_layers(layers, fraction)
        return
    kept = kept_layers(layers, fraction)
    assert len(kept) == round(layers * fraction)
    assert kept == tuple(floor(i / fraction) for i in range(len(kept)))
    assert list(kept) == sorted(set(kept))
    assert 0 <= kept[0] <= kept[-1] < layers


def test_a_slice_is_the_model_without_the_other_layers(deep: Checkpoint, batch: Batch) -> None:
    half = BertClassifier.from_checkpoint(slice_depth(deep, 0.5)).eval()
    whole = BertClassifier.from_checkpoint(deep).eval()
    assert half.architecture == evolve(deep.architecture, layers=2)
    expected = whole(batch).logits
    assert not torch.allclose(half(batch).logits, expected, atol=1e-2)
    del whole.bert.encoder.layer[3], whole.bert.encoder.layer[1]
    assert torch.equal(half(batch).logits, whole(batch).logits)


def test_the_whole_depth_is_a_copy(deep: Checkpoint) -> None:
    copy = slice_depth(deep, 1.0)
    assert copy.architecture == deep.architecture
    assert copy.tensors.keys() == deep.tensors.keys()
    assert all(torch.equal(copy.tensors[name], tensor) for name, tensor in deep.tensors.items())
    assert all(copy.tensors[name].data_ptr() != tensor.data_ptr() for name, tensor in deep.tensors.items())


def test_names_outside_the_layers_are_unchanged() -> None:
    assert full_name("bert.pooler.dense.bias", (0, 2)) == "bert.pooler.dense.bias"
    assert full_name("bert.encoder.layer.11.output.dense.bias", range(20, 40)).startswith("bert.encoder.layer.31.")


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.1, float("nan")])
def test_depths_out_of_range_are_refused(deep: Checkpoint, fraction: float) -> None:
    with pytest.raises(UserError, match=r"must be in \(0, 1\]"):
        slice_depth(deep, fraction)


def test_a_depth_without_layers_is_refused(deep: Checkpoint) -> None:
    with pytest.raises(UserError, match=r"keeps none of 4 layers; expected at least 0\.25"):
        slice_depth(deep, 0.1)


def test_a_quantized_model_keeps_its_depth(quantized: Checkpoint) -> None:
    with pytest.raises(UserError, match="slice first, then quantize"):
        slice_depth(quantized, 0.5)
