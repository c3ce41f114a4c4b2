"""Models imported from checkpoints of published code."""

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
    """A checkpoint as an importer read it."""

    model: BertClassifier
    tokenizer: ModelTokenizer | None  #: None if there is none next to the checkpoint and none was given
    classes: tuple[str, ...] | None  #: names or numbers of the outputs in its config.json; None: it has none
    left_out: tuple[str, ...]  #: tensors of the checkpoint that the model does not use


def import_checkpoint(
    importer: ImporterOptions, path: Path, *, config: Path | None = None, tokenizer: Path | None = None
) -> Imported:
    """Read a file (or folder) of published code; by default with the config.json and tokenizer next to it.

    Raises:
        SetupError: a file does not exist, or is a pointer of git-lfs.
        UserError: the importer refuses the file, its config.json contradicts itself about the classes, or its tokenizer
            cannot be used or has too many tokens.
    """
    folder = path if path.is_dir() else path.parent
    refuse_adapter(folder)
    config = _config_file(config, folder)
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
    own_tokenizer = read_tokenizer(tokenizer or folder) if tokenizer or has_tokenizer(folder) else None
    if own_tokenizer is not None:
        check_vocabulary(own_tokenizer, checkpoint.architecture)
    return Imported(
        model=model, tokenizer=own_tokenizer, classes=classes, left_out=left_out(tensors, checkpoint.tensors)
    )


def _config_file(given: Path | None, folder: Path) -> Path:
    path = given or folder / CONFIGURATION
    if not path.is_file():
        hint = "" if given else "; give the checkpoint's configuration (sizes and bits) with --config"
        raise SetupError(f"{path}: no such file{hint}")
    return path
