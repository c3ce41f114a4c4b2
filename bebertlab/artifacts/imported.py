"""Checkpoints of published code as models of ours."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from bebertlab.data.tokenizer import ModelTokenizer, check_vocabulary, has_tokenizer, read_tokenizer
from bebertlab.errors import SetupError, UserError
from bebertlab.files import read_json
from bebertlab.interfaces.importer import ImporterOptions
from bebertlab.model.bert import BertClassifier
from bebertlab.model.classes import check_problem, read_class_names
from bebertlab.model.folder import CONFIGURATION
from bebertlab.model.huggingface import check_config
from bebertlab.model.tensors import left_out
from bebertlab.model.weight_files import refuse_adapter
from bebertlab.model.weights import read_weights


@frozen(kw_only=True, eq=False)
class Imported:
    """What an importer made of a checkpoint."""

    model: BertClassifier
    tokenizer: ModelTokenizer | None  #: None where none is beside the checkpoint and none was named
    classes: tuple[str, ...] | None  #: by output, as its config.json names or numbers them
    left_out: tuple[str, ...]  #: tensors of the checkpoint that the model has no use for


def import_checkpoint(
    importer: ImporterOptions, path: Path, *, config: Path | None = None, tokenizer: Path | None = None
) -> Imported:
    """Read a file (or a folder) of published code; config.json and tokenizer are those beside it if not named.

    Raises:
        SetupError: a file is not there, or is a pointer of git-lfs.
        UserError: the file is refused, is not of that code, its config.json contradicts itself on the classes, or its
            tokenizer cannot be used or has too many tokens.
    """
    beside = path if path.is_dir() else path.parent
    refuse_adapter(beside)
    config = _config(config, beside)
    settings = read_json(config)
    try:
        check_config(settings)
    except UserError as error:
        raise UserError(f"{path}: {'; '.join(str(error).splitlines())}") from error
    tensors = read_weights(path)
    try:
        checkpoint = importer.read(tensors, settings)
        model = BertClassifier.from_checkpoint(checkpoint)
        check_problem(settings, checkpoint.architecture.classes)
    except UserError as error:
        raise type(error)(f"{path}: importer '{importer.kind}': {error}") from error
    classes = read_class_names(config, checkpoint.architecture.classes)
    words = read_tokenizer(tokenizer or beside) if tokenizer or has_tokenizer(beside) else None
    if words is not None:
        check_vocabulary(words, checkpoint.architecture)
    return Imported(model=model, tokenizer=words, classes=classes, left_out=left_out(tensors, checkpoint.tensors))


def _config(named: Path | None, beside: Path) -> Path:
    path = named or beside / CONFIGURATION
    if not path.is_file():
        hint = "" if named else "; name the checkpoint's configuration, its sizes and bits, with --config"
        raise SetupError(f"{path}: no such file{hint}")
    return path
