"""What the sub-networks of a model are worth."""

from __future__ import annotations

from pathlib import Path

from bebertlab.artifacts.model import evaluated_splits, split_logits
from bebertlab.artifacts.sizes import OPERATIONS, TOTAL
from bebertlab.interfaces.architecture import Design
from bebertlab.interfaces.distillation import WHOLE, Phase
from bebertlab.interfaces.stage import Context
from bebertlab.nn.bert import BertClassifier, meta_model
from bebertlab.nn.operations import model_operations, usual_tokens
from bebertlab.nn.size import model_size
from bebertlab.train.networks import Network, phase_networks


def part_metrics(model: BertClassifier, phase: Phase, tokenizer: Path, context: Context) -> dict[str, float]:
    """Score, size and operations of every sub-network that a phase trained on the weights of a model.

    They are called `width_0.5/validation/score`, and `depth_0.75/width_0.5/validation/score` where there are several
    depths; empty for a phase that trains the model itself. `tokenizer` is the folder that holds it.

    Raises:
        TrainingFault: an answer of a sub-network is not a finite number.
    """
    if phase.parts == (WHOLE,):
        return {}
    networks = phase_networks(model, phase, context.stage)
    return {
        f"{_name(phase, *part)}/{name}": value
        for part, network in zip(phase.parts, networks, strict=True)
        for name, value in _metrics(network, tokenizer, context).items()
    }


def _name(phase: Phase, width: float, depth: float) -> str:
    return f"width_{width:g}" if phase.depths == (1.0,) else f"depth_{depth:g}/width_{width:g}"


def _metrics(network: Network, tokenizer: Path, context: Context) -> dict[str, float]:
    answers = {split: split_logits(network, split, tokenizer, context) for split in evaluated_splits(context.task)}
    scores = {
        f"{split}/score": context.task.evaluate(split, logits.numpy())["score"] for split, logits in answers.items()
    }
    sizes = network.architecture
    operations = model_operations(sizes, Design(), usual_tokens(sizes)).gigaflops
    return {**scores, TOTAL: model_size(meta_model(sizes, Design())).total_mebibytes, OPERATIONS: operations}
