from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, Checkpoint, QuantSpec
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.model.attention import additive_mask
from bebertlab.model.bert import BertClassifier, FeedForwardUp, Layer, MetaStates, Residual, meta_model
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.huggingface import configuration
from bebertlab.model.module_factory import ModuleFactory

ALL = frozenset(Tap)


@pytest.fixture
def square(sizes: Architecture) -> Checkpoint:
    """Heads that fill the hidden size, as Hugging Face wants them."""
    return random_checkpoint(evolve(sizes, heads=4, head_size=4), seed=0, spread=0.3)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_equals_hugging_face_with_padding(square: Checkpoint, batch: Batch, activation: str) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    square = evolve(square, architecture=evolve(square.architecture, activation=activation))
    config = BertConfig(**configuration(square.architecture), attn_implementation="eager")
    theirs = BertForSequenceClassification(config).eval()
    theirs.load_state_dict(dict(square.tensors))
    inputs = {"input_ids": batch.tokens, "token_type_ids": batch.segments, "attention_mask": batch.mask.long()}
    expected = theirs(**inputs, output_hidden_states=True, output_attentions=True)
    ours = BertClassifier.from_checkpoint(square)
    for taps in (frozenset[Tap](), ALL):
        outputs = ours(batch, taps)
        torch.testing.assert_close(outputs.logits, expected.logits, rtol=1e-5, atol=1e-5)
    for hidden, wanted in zip(outputs.taps[Tap.HIDDEN], expected.hidden_states, strict=True):
        torch.testing.assert_close(hidden, wanted, rtol=1e-4, atol=1e-5)
    for probabilities, wanted in zip(outputs.taps[Tap.PROBABILITIES], expected.attentions, strict=True):
        torch.testing.assert_close(probabilities, wanted, rtol=1e-4, atol=1e-5)
    expected.logits.square().sum().backward()
    ours(batch).logits.square().sum().backward()
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name].grad, rtol=1e-3, atol=1e-3, msg=name)


def test_padding_does_not_change_the_outputs(checkpoint: Checkpoint, make_batch: Callable[[int, int], Batch]) -> None:
    model = BertClassifier.from_checkpoint(checkpoint)
    batch = make_batch(2, 8)
    short = Batch(
        positions=batch.positions[1:],
        tokens=batch.tokens[1:, :4],
        segments=batch.segments[1:, :4],
        mask=batch.mask[1:, :4],
        labels=batch.labels[1:],
    )
    assert short.mask.all()
    assert not batch.mask[1, 4:].any()
    torch.testing.assert_close(model(batch).logits[1:], model(short).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("which", ["checkpoint", "quantized"])
def test_taps_are_exactly_those_requested(which: str, request: pytest.FixtureRequest, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(request.getfixturevalue(which))
    plain = model(batch)
    assert plain.taps == {}
    for tap in Tap:
        outputs = model(batch, frozenset({tap}))
        assert outputs.taps.keys() == {tap}
        (sentences, tokens), heads = batch.tokens.shape, model.architecture.heads
        hidden = tap is Tap.HIDDEN
        shape = (sentences, tokens, model.architecture.hidden) if hidden else (sentences, heads, tokens, tokens)
        assert [x.shape for x in outputs.taps[tap]] == [shape] * (3 if hidden else 2)
        torch.testing.assert_close(outputs.logits, plain.logits)


def test_a_checkpoint_is_a_copy_that_gives_the_model_again(quantized: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(quantized)
    taken = model.checkpoint()
    before = model(batch).logits
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5)
    assert not torch.equal(model(batch).logits, before)
    assert torch.equal(BertClassifier.from_checkpoint(taken)(batch).logits, before)
    assert all(torch.equal(taken.tensors[name], tensor) for name, tensor in quantized.tensors.items())


def test_building_and_loading_draw_no_random_numbers(quantized: Checkpoint) -> None:
    before = torch.random.get_rng_state()
    BertClassifier.from_checkpoint(quantized)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_tensors_of_another_size_are_refused(checkpoint: Checkpoint) -> None:
    other = evolve(checkpoint, architecture=evolve(checkpoint.architecture, ffn=20))
    with pytest.raises(UserError, match=r"intermediate\.dense\.weight is \(24, 16\), should be \(20, 16\)"):
        BertClassifier.from_checkpoint(other)


def test_a_specification_that_does_not_fit_is_refused(sizes: Architecture) -> None:
    with pytest.raises(UserError, match="no site 'bert'"):
        BertClassifier(sizes, QuantSpec(branches={"bert": 2}))


def test_states_are_found_once_for_equal_models_only(quantized: Checkpoint) -> None:
    states = MetaStates()
    state = states.of(quantized.architecture, quantized.spec)
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in meta_model(quantized.architecture, quantized.spec).state_dict().items()
    }
    assert states.of(evolve(quantized.architecture), evolve(quantized.spec)) is state
    wider = states.of(evolve(quantized.architecture, ffn=2 * quantized.architecture.ffn), quantized.spec)
    plain = states.of(quantized.architecture, QuantSpec())
    assert {name: tensor.shape for name, tensor in wider.items()} != {
        name: tensor.shape for name, tensor in state.items()
    }
    assert plain.keys() != state.keys()


def test_every_parameter_of_a_quantizer_is_in_a_group_and_no_other(quantized: Checkpoint) -> None:
    model = BertClassifier.from_checkpoint(quantized)
    grouped = [id(parameter) for group in model.quantizer_groups() for parameter in group.parameters]
    named = {id(parameter): name for name, parameter in model.named_parameters()}
    assert len(set(grouped)) == len(grouped)
    assert {named[key] for key in grouped} == {name for name in named.values() if "quantizer" in name}


def test_dropout_is_for_training_only(checkpoint: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(
        evolve(checkpoint, architecture=evolve(checkpoint.architecture, dropout=0.5))
    )
    torch.manual_seed(0)
    assert not torch.equal(model.train()(batch).logits, model(batch).logits)
    assert torch.equal(model.eval()(batch).logits, model(batch).logits)


@pytest.mark.parametrize("which", ["checkpoint", "quantized"])
def test_every_parameter_gets_a_gradient(which: str, request: pytest.FixtureRequest, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(request.getfixturevalue(which))
    model(batch).logits.square().sum().backward()
    # the bias of the keys adds the same to all scores of a row, the rounding step of the tests has no gradient
    silent = ("key.bias", "key.branches.0.bias", ".step")
    dead = [name for name, parameter in model.named_parameters() if not _moves(parameter.grad)]
    assert [name for name in dead if not name.endswith(silent)] == []


def test_runs_in_half_precision_and_copies(quantized: Checkpoint, batch: Batch) -> None:
    model = BertClassifier.from_checkpoint(quantized)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(batch, ALL)
    outputs.logits.float().sum().backward()
    assert outputs.logits.isfinite().all()
    assert torch.equal(copy.deepcopy(model)(batch).logits, model(batch).logits)


def _moves(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(gradient.any())


@pytest.mark.parametrize("which", ["checkpoint", "quantized", "split"])
def test_the_last_layer_computes_only_the_first_token_where_hidden_states_are_not_requested(
    which: str, request: pytest.FixtureRequest, batch: Batch
) -> None:
    model = BertClassifier.from_checkpoint(request.getfixturevalue(which)).train()
    model(batch)  # sets what the first batch sets
    actual = []
    for taps in (frozenset[Tap](), frozenset({Tap.HIDDEN})):
        model.zero_grad()
        logits = model(batch, taps).logits
        torch.autograd.backward(logits, torch.linspace(0.5, 1.5, logits.numel()).view(logits.shape))
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        actual.append((logits.detach(), {name: grad.clone() for name, grad in gradients.items() if grad is not None}))
    (alone, its_gradients), (among_all, all_gradients) = actual
    torch.testing.assert_close(alone, among_all)
    torch.testing.assert_close(its_gradients, all_gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("which", "units"), [("checkpoint", 1), ("quantized", 7)])
def test_other_tokens_are_computed_where_quantizers_read_them(
    which: str, units: int, request: pytest.FixtureRequest, batch: Batch
) -> None:
    model = BertClassifier.from_checkpoint(request.getfixturevalue(which))
    tokens: dict[str, int] = {}
    for path, module in model.named_modules():
        module.register_forward_hook(lambda _, __, y, path=path: tokens.update({path: getattr(y, "shape", [0, 0])[1]}))
    model(batch)
    last = "bert.encoder.layer.1"
    assert tokens["bert.encoder.layer.0"] == tokens[f"{last}.attention.self"] == 7
    assert tokens[f"{last}.attention.output.dense"] == tokens[f"{last}.intermediate.dense"] == units
    assert tokens[f"{last}.output.dense"] == tokens[f"{last}.output.LayerNorm"] == 1


LAYER = "bert.encoder.layer.0"


def test_a_residual_is_normalized_after_the_sum(sizes: Architecture) -> None:
    residual = Residual(ModuleFactory(sizes, QuantSpec()), f"{LAYER}.output", sizes.ffn)
    y, x = torch.randn(2, 3, sizes.ffn), torch.randn(2, 3, sizes.hidden)
    with torch.no_grad():
        residual.get_parameter("dense.weight").normal_()
        residual.get_parameter("dense.bias").normal_()
    summed = x + F.linear(y, residual.get_parameter("dense.weight"), residual.get_parameter("dense.bias"))
    spread = summed.var(-1, unbiased=False, keepdim=True)
    torch.testing.assert_close(residual(y, x), (summed - summed.mean(-1, keepdim=True)) / (spread + 1e-12).sqrt())


def test_dropout_is_of_what_is_added_not_of_what_it_is_added_to(sizes: Architecture) -> None:
    residual = Residual(ModuleFactory(evolve(sizes, dropout=1.0), QuantSpec()), f"{LAYER}.output", sizes.ffn)
    with torch.no_grad():
        residual.get_parameter("dense.bias").normal_()
    y, x = torch.randn(2, 3, sizes.ffn), torch.randn(2, 3, sizes.hidden)
    torch.testing.assert_close(residual.train()(y, x), F.layer_norm(x, (sizes.hidden,), eps=1e-12))


@pytest.mark.parametrize(
    ("architecture", "spec", "expected"),
    [("gelu", None, F.gelu), ("relu", None, F.relu), ("gelu", "relu", F.relu), ("relu", "gelu", F.gelu)],
)
def test_the_specification_may_set_the_activation(
    sizes: Architecture, architecture: str, spec: str | None, expected: Callable[[Tensor], Tensor]
) -> None:
    up = FeedForwardUp(
        ModuleFactory(evolve(sizes, activation=architecture), QuantSpec(activation=spec)), f"{LAYER}.intermediate"
    )
    with torch.no_grad():
        up.get_parameter("dense.bias").copy_(torch.linspace(-2, 2, sizes.ffn))
    assert torch.equal(up(torch.zeros(1, sizes.hidden))[0], expected(torch.linspace(-2, 2, sizes.ffn)))


def test_a_layer_of_zeros_normalizes_its_input_twice(sizes: Architecture) -> None:
    layer = Layer(ModuleFactory(sizes, QuantSpec()), LAYER)
    x = torch.randn(2, 3, sizes.hidden)
    mask = additive_mask(torch.ones(2, 3, dtype=torch.bool), torch.float32)
    torch.testing.assert_close(layer(x, mask, {}), F.layer_norm(F.layer_norm(x, (16,), eps=1e-12), (16,), eps=1e-12))
