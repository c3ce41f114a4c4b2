from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import Batch, Codec, Outputs, Tap, resolve_phases
from bebertlab.train.objective import Objective
from bebertlab_binarybert import Attention, Hidden, Prediction
from bebertlab_bit import BitDistillation

if TYPE_CHECKING:
    from tests.conftest import Golden


def losses_of(codec: Codec, **options: Any) -> tuple[Any, ...]:  # noqa: ANN401 - passed on to the options
    (phase,) = resolve_phases(BitDistillation(**options), codec)
    return phase.losses


def test_predictions_and_hidden_states_are_learned_and_scores_if_wanted(codec: Codec) -> None:
    assert losses_of(codec) == (Prediction(), Hidden())
    assert losses_of(codec, attention=True) == (Prediction(), Hidden(), Attention())
    assert losses_of(codec, prediction=False) == (Hidden(),)


def test_options_reach_the_losses(codec: Codec) -> None:
    prediction, hidden, attention = losses_of(
        codec, attention=True, include_padding=False, temperature=2.0, reduction="classes", as_published=True
    )
    assert prediction == Prediction(temperature=2.0, reduction="classes", as_published=True)
    assert (hidden, attention) == (Hidden(include_padding=False), Attention(include_padding=False))


def test_the_phase_keeps_the_rate_of_the_stage() -> None:
    (phase,) = BitDistillation().phases()
    assert (phase.learning_rate_factor, phase.learning_rate, phase.epochs) == (1.0, None, None)


def test_learning_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing would be learned"):
        BitDistillation(prediction=False, hidden=False)


def outputs_of(vectors: Golden, who: str) -> Outputs:
    def layers(kind: str) -> tuple[Tensor, ...]:
        start = f"in/{who}/{kind}_"
        numbers = sorted(int(name.removeprefix(start)) for name in vectors.tensors if name.startswith(start))
        return tuple(vectors.tensors[f"{start}{number}"].clone().requires_grad_() for number in numbers)

    taps = {Tap.HIDDEN: layers("rep"), Tap.SCORES: layers("att")}
    return Outputs(logits=vectors.tensors[f"in/{who}/logits"].clone().requires_grad_(), taps=taps)


def test_agrees_with_the_published_training_loop(golden: Callable[[str], Golden], codec: Codec) -> None:
    vectors = golden("distill_losses")
    tolerance, sources = vectors.meta["tolerance"], vectors.meta["sources"]
    cases = [case for case in vectors.cases if sources[case["source"]]["repo"] == "facebookresearch/bit"]
    assert cases
    for case in cases:
        name, student = case["name"], outputs_of(vectors, "student")
        teacher = outputs_of(vectors, case.get("teacher_tensors", "teacher"))
        mask = vectors.tensors["in/attention_mask"].bool()
        nothing = torch.zeros_like(mask, dtype=torch.int64)
        batch = Batch(
            positions=torch.arange(len(mask)),
            tokens=nothing,
            segments=nothing,
            mask=mask,
            labels=vectors.tensors["in/labels"],
        )
        wanted = {"cls_loss": "distill_logit", "rep_loss": "distill_rep", "att_loss": "distill_attn"}
        flags = {part: case[flag] for part, flag in wanted.items()}
        chosen = losses_of(codec, prediction=flags["cls_loss"], hidden=flags["rep_loss"], attention=flags["att_loss"])
        for options, part in zip(chosen, (part for part in flags if flags[part]), strict=True):
            (term,) = options.build(student.logits.shape[1])(student, teacher, batch).values()
            stored = vectors.tensors[f"{name}/{part}"]
            torch.testing.assert_close(term.mean().detach(), stored, **tolerance["loss values"])
        loss = Objective(chosen, student.logits.shape[1])(student, teacher, batch)
        torch.testing.assert_close(loss.detach(), vectors.tensors[f"{name}/loss"], **tolerance["loss values"])
        torch.autograd.backward(loss)
        for tap, kind in ((Tap.HIDDEN, "rep"), (Tap.SCORES, "att")):
            for number, tensor in enumerate(student.taps[tap]):
                _close(tensor.grad, vectors.tensors.get(f"{name}/grad_{kind}_{number}"), tolerance["grads"])
        _close(student.logits.grad, vectors.tensors.get(f"{name}/grad_logits"), tolerance["grads"])


def _close(found: Tensor | None, wanted: Tensor | None, tolerance: dict[str, Any]) -> None:
    """A tensor that the loss does not reach has no gradient, here and there."""
    assert (found is None) == (wanted is None)
    if found is not None and wanted is not None:
        torch.testing.assert_close(found, wanted, **tolerance)
