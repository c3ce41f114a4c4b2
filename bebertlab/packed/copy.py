"""Packed models are copied to where they are passed on from."""

from __future__ import annotations

import shutil
from pathlib import Path

from bebertlab.data.tokenizer import TOKENIZER_FILES
from bebertlab.interfaces.stage import Codec
from bebertlab.model.folder import CONFIGURATION, TENSORS
from bebertlab.packed.card import card_text
from bebertlab.packed.contract import CARD
from bebertlab.packed.read import PackedFile, read_packed
from bebertlab.packed.write import check_target, renamed_folder, write_errors


def copy_packed(source: Path, folder: Path, codec: Codec, *, force: bool = False) -> PackedFile:
    """Copy a packed model with its tokenizer, with a model card for the new folder, and return what was copied.

    The folder is complete or not there, as by `write_packed`.

    Args:
        source: folder of a packed model, which is checked as whenever it is read
        folder: to write to; it must not exist, or be empty
        codec: reads the options in the packed model
        force: a packed model that is there already is replaced

    Raises:
        UserError: the folder is there already, or is something else than a packed model where `force` is set; the
            source is damaged.
        SetupError: the folder cannot be written, or a file of the source is missing.
    """
    check_target(folder, force=force)
    file = read_packed(source, codec)
    names = [CONFIGURATION, TENSORS, *(name for name in TOKENIZER_FILES if (source / name).is_file())]
    with write_errors(folder), renamed_folder(folder) as temporary:
        for name in names:
            shutil.copyfile(source / name, temporary / name)
        card = card_text(file.contents.config, file.classes, file.file_bytes, folder.absolute().name)
        (temporary / CARD).write_text(card, encoding="utf-8")
    return file
