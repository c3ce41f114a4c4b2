from __future__ import annotations

import warnings

import pytest
import torch
from attrs import evolve

from bebertlab.errors import SetupError
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.compiled import compile_layers, plain_layers
from bebertlab.model.spec import quantizable_modules
from bebertlab.testing.tiny import tiny_model
from bebertlab_binarybert.schemes import BinaryBert

TAPS = frozenset({Tap.HIDDEN, Tap.SCORES})


def model_of(task: Task, bits: int) -> BertClassifier:
    sizes = tiny_model(task).architecture
    spec = BinaryBert(activation_bits=bits).spec()
    split = dict.fromkeys(quantizable_modules(sizes), 2)
    checkpoint = tiny_model(task, spec.with_branches(split)).checkpoint()
    still = evolve(sizes, dropout=0.0, attention_dropout=0.0)
    return BertClassifier.from_checkpoint(evolve(checkpoint, architecture=still))


def batch_of(size: int, tokens: int) -> Batch:
    ids = torch.randint(4, 23, (size, tokens), generator=torch.Generator().manual_seed(size))
    return Batch(
        positions=torch.arange(size),
        tokens=ids,
        segments=torch.zeros_like(ids),
        mask=torch.arange(tokens).expand(size, -1) < tokens - 1,
        labels=torch.zeros(size, dtype=torch.int64),
    )


def gradients(model: BertClassifier, batch: Batch) -> list[torch.Tensor]:
    outputs = model(batch, TAPS)
    total = outputs.logits.square().sum() + outputs.taps[Tap.SCORES][0].clamp(min=-9).sum()
    model.zero_grad()
    torch.autograd.backward(total)
    assert [len(outputs.taps[tap]) for tap in (Tap.HIDDEN, Tap.SCORES)] == [3, 2]
    return [total.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 4])
def test_layers_are_compiled_whole_and_once(bits: int, task: Task) -> None:
    torch.compiler.reset()
    model = model_of(task, bits).train()
    model(batch_of(3, 5))  # the first batch may set state
    batches = [batch_of(3, 5), batch_of(4, 9)]
    plain = [gradients(model, batch) for batch in batches]
    compile_layers(model, backend="aot_eager", fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own code
        with torch._dynamo.config.patch(error_on_recompile=True):
            compiled = [gradients(model, batch) for batch in batches]
    for before, after in zip(plain, compiled, strict=True):
        for a, b in zip(before, after, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_only_training_is_compiled(task: Task) -> None:
    model = tiny_model(task)
    compile_layers(model, backend="eager")
    model.bert.encoder.compiled = lambda *_: pytest.fail("compiled")
    model.eval()(batch_of(2, 3))
    with pytest.raises(pytest.fail.Exception):
        model.train()(batch_of(2, 3))
    plain_layers(model)
    model(batch_of(2, 3))


def test_a_missing_compiler_is_an_error(task: Task) -> None:
    def backend(*_: object) -> None:
        raise RuntimeError("no g++")

    torch.compiler.reset()
    model = tiny_model(task).train()
    compile_layers(model, backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own code
        with pytest.raises(SetupError, match=r"no g\+\+.*train.compile=false"):
            model(batch_of(2, 3))
