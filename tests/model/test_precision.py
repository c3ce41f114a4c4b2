from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bebertlab.data.examples import Examples
from bebertlab.inference.predict import predict
from bebertlab.interfaces.batch import Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.task import Task
from bebertlab.model import precision as module
from bebertlab.model.bert import BertClassifier
from bebertlab.model.precision import dtype_of, in_float, in_precision, multiplies_in_bf16
from bebertlab.model.spec import quantizable_modules
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab.training.loop import fit
from bebertlab.training.objective import LossValue, PhaseLoss
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher
from bebertlab_binarybert.schemes import BinaryBert

SetUpTraining = Callable[..., TrainingSetup]


def model_of(task: Task, bits: int | None = None, seed: int = 0) -> BertClassifier:
    if bits is None:
        return tiny_model(task, seed=seed)
    spec = BinaryBert(activation_bits=bits).spec()
    modules = quantizable_modules(tiny_model(task).architecture)
    return tiny_model(task, spec.with_branches(dict.fromkeys(modules, 2)), seed=seed)


def state(model: BertClassifier) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in model.state_dict().values()])


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_training_in_bf16_repeats_and_keeps_weights_in_float(
    bits: int | None, task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    actual = []
    for precision in ("bf16", "bf16", "fp32"):
        model = model_of(task, bits)
        fit(model, labels_phase, set_up_training(train_precision=precision, train_epochs=1))
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        actual.append(state(model))
    assert torch.equal(actual[0], actual[1])
    assert not torch.equal(actual[0], actual[2])


def test_a_model_learns_in_bf16(set_up_training: SetUpTraining, labels_phase: Phase) -> None:
    task = tiny_task(examples=192)
    model = tiny_model(task)
    setup = set_up_training(task=task, train_epochs=12, train_learning_rate=0.01, train_precision="bf16")
    fit(model, labels_phase, setup)
    assert setup.task.evaluate("select", predict(model, setup.select).numpy())["score"] >= 85


def test_losses_are_computed_in_float(
    task: Task, set_up_training: SetUpTraining, imitate: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = PhaseLoss.value
    seen: list[torch.dtype] = []

    def watched(self: PhaseLoss, student: Outputs, teacher: Outputs | None, batch: object) -> LossValue:
        assert teacher is not None
        for outputs in (student, teacher):
            seen.extend(tensor.dtype for tensors in outputs.taps.values() for tensor in (outputs.logits, *tensors))
        value = compute(self, student, teacher, batch)  # type: ignore[arg-type] # a batch
        seen.append(value.total.dtype)
        return value

    monkeypatch.setattr(PhaseLoss, "value", watched)
    phase = Phase(name="p", losses=(imitate(taps=frozenset({Tap.SCORES})),))  # type: ignore[arg-type] # options
    setup = set_up_training(teacher=Teacher(model_of(task, seed=7)), train_precision="bf16", train_epochs=1)
    fit(model_of(task, 8), phase, setup)
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("bits", [None, 8])
def test_predictions_are_nearly_the_same_and_repeat(bits: int | None, task: Task, examples: Examples) -> None:
    model = model_of(task, bits)
    exact = predict(model, examples)
    rounded = [predict(model, examples, precision="bf16") for _ in range(2)]
    assert torch.equal(*rounded)
    assert rounded[0].dtype == torch.float32
    assert not torch.equal(rounded[0], exact)
    torch.testing.assert_close(rounded[0], exact, atol=0.05 if bits is None else 0.5, rtol=0.05)
    assert torch.equal(predict(model, examples), exact)


def test_a_teacher_keeps_logits_by_precision(task: Task, examples: Examples) -> None:
    teacher = Teacher(model_of(task), key="precision")
    assert not torch.equal(teacher.logits(examples), teacher.logits(examples, "bf16"))
    assert torch.equal(teacher.logits(examples, "bf16"), predict(model_of(task), examples, precision="bf16"))


def test_outputs_in_float_stay_as_they_are() -> None:
    outputs = Outputs(logits=torch.ones(2, 2), taps={})
    assert in_float(outputs) is outputs
    narrow = Outputs(logits=torch.ones(2, 2).bfloat16(), taps={Tap.HIDDEN: (torch.ones(1).bfloat16(), torch.ones(1))})
    assert in_float(narrow).logits.dtype == torch.float32
    assert all(tensor.dtype == torch.float32 for tensor in in_float(narrow).taps[Tap.HIDDEN])


def test_names_of_precisions() -> None:
    assert (dtype_of("fp32"), dtype_of("bf16")) == (None, torch.bfloat16)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("model name\t: x\nflags\t\t: fpu avx512_bf16 sse\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("Features\t: asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
    ],
)
def test_bf16_support_is_read_from_the_processor(
    text: str, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_CPUINFO", tmp_path / "cpuinfo")
    assert multiplies_in_bf16("cpu")  # assumed without information
    (tmp_path / "cpuinfo").write_text(text)
    assert multiplies_in_bf16("cpu") is known
    module._warn.cache_clear()
    with caplog.at_level(logging.WARNING, logger="bebertlab"):
        for _ in range(2):
            with in_precision("bf16", "cpu"), in_precision("fp32", "cpu"):
                pass
    assert len(caplog.records) == (0 if known else 1)
