"""What is packed, from the folders of trained models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from bebertlab.data.tokenizer import ModelTokenizer, read_tokenizer
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import Codec, different_parts
from bebertlab.model.bert import BertClassifier, MetaStates
from bebertlab.model.classes import listed, output_order, read_class_names, reorder_outputs
from bebertlab.model.folder import CONFIGURATION, read_checkpoint
from bebertlab.packed.contract import Cascade, Score
from bebertlab.packed.write import PackSource


@frozen(kw_only=True)
class SourceFolders:
    """Where the models are that are packed together, and what is known of them."""

    folders: tuple[Path, ...]
    weights: tuple[float, ...] = (1.0,)  #: of the members, in order
    rule: MergerOptions | None = None  #: how they are merged; None for a single model
    task: str | None = None  #: that they were trained on
    score: Score | None = None  #: that they reached, together
    cascade: Cascade | None = None  #: of an ensemble, if one was chosen


def read_source(source: SourceFolders, codec: Codec) -> PackSource:
    """The models in folders, their outputs in the order of the first one's.

    Raises:
        SetupError: a file is missing.
        UserError: a file is damaged; or members have different tokenizers or classes.
    """
    states = MetaStates()
    checkpoints = [read_checkpoint(folder, codec, states) for folder in source.folders]
    outputs = checkpoints[0].architecture.classes
    names = [read_class_names(folder / CONFIGURATION, outputs) for folder in source.folders]
    first = names[0] or ()
    models = []
    for folder, checkpoint, own in zip(source.folders, checkpoints, names, strict=True):
        order = _order(folder, own, first)
        if order is not None:
            checkpoint = reorder_outputs(checkpoint, order)
        models.append(BertClassifier.from_checkpoint(checkpoint).eval())
    return PackSource(
        models=models,
        tokenizer=_common_tokenizer(source.folders),
        weights=source.weights,
        rule=source.rule,
        classes=first,
        task=source.task,
        score=source.score,
        cascade=source.cascade,
        plugins=_plugins(models, source.rule, codec),
    )


def _plugins(models: Sequence[BertClassifier], rule: MergerOptions | None, codec: Codec) -> dict[str, str]:
    """The plugins whose parts the models have, with their versions, in the order of their names."""
    parts: list[Options] = [] if rule is None else [rule]
    for model in models:
        for quantizers in (model.spec.weights, model.spec.inputs, model.spec.attention):
            parts += quantizers.values()
    return dict(sorted(map(codec.plugin_of, parts)))


def _order(folder: Path, names: Sequence[str] | None, first: Sequence[str]) -> tuple[int, ...] | None:
    """The order in which a member has the outputs of the first one; None if it is the same."""
    try:
        order = output_order(names, first)
    except UserError as error:
        raise UserError(
            f"{folder}: its classes are {listed(names or ())}, those of the first member are {listed(first)}; only"
            " members with the same classes are packed together"
        ) from error
    return None if order == tuple(range(len(first))) else order


def _common_tokenizer(folders: Sequence[Path]) -> ModelTokenizer:
    first, *others = tokenizers = [read_tokenizer(folder) for folder in folders]
    for other in others:
        if different := different_parts(first.parts, other.parts):
            raise UserError(
                f"{other.folder} and {first.folder} have tokenizers that differ in {', '.join(different)}; only members"
                " with the same tokenizer are packed together: pack them one by one"
            )
    lengths = {tokenizer.maximum_tokens for tokenizer in tokenizers}
    if len(lengths) > 1:
        listed_lengths = " and ".join(sorted(map(str, lengths)))
        raise UserError(f"the longest inputs of the members have {listed_lengths} tokens, expected the same of all")
    return first
