"""The tokenizer of a packed model, written so that transformers makes the same tokens as bebertlab."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bebertlab.data.tokenizer import ModelTokenizer, set_maximum_tokens
from bebertlab.data.tokenizer_settings import SETTINGS_FILE
from bebertlab.files import read_json

#: the class of transformers that uses a tokenizer.json as it is; others, such as BertTokenizer, build their own
#: tokenizer from its vocabulary
_CLASS = "PreTrainedTokenizerFast"
_INPUTS, _SEGMENTS = ("input_ids", "attention_mask"), "token_type_ids"


def write_tokenizer(tokenizer: ModelTokenizer, folder: Path, maximum_tokens: int) -> None:
    """Write the files of a tokenizer; inputs have at most `maximum_tokens`.

    Its settings are completed by what transformers would otherwise look up in the class, since it has no class for the
    `model_type` of packed models: that tokenizer.json is used as it is, whether there are segments, and which token is
    for padding.
    """
    tokenizer.save_pretrained(folder)
    set_maximum_tokens(folder, maximum_tokens)
    path = folder / SETTINGS_FILE
    settings = read_json(path)
    segments = (_SEGMENTS,) if tokenizer.segments(pairs=True) > 1 else ()
    settings |= {"tokenizer_class": _CLASS, "model_input_names": [*_INPUTS, *segments]}
    if not settings.get("pad_token") and (padding := tokenizer.tokenizer.id_to_token(tokenizer.padding)) is not None:
        settings["pad_token"] = padding
    settings.pop("auto_map", None)  # code that a tokenizer.json does not need
    path.write_bytes(_json(settings))


def _json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
