from __future__ import annotations

from pathlib import Path

import numpy as np

from bebertlab.bench.lengths import MAXIMUM_TOKENS, sentence_lengths
from bebertlab.bench.setting import Setting
from bebertlab.bench.texts import text_task
from bebertlab.data.examples import load_examples
from bebertlab.interfaces.task import TRAIN
from bebertlab_encoders.tiny import TinyEncoder


def test_texts_have_the_lengths_of_sst2_in_tokens(setting: Setting, tmp_path: Path) -> None:
    task = text_task(50, setting)
    TinyEncoder(words=30_000).tokenizer(task.splits[TRAIN].texts).save_pretrained(tmp_path)
    examples = load_examples(task, TRAIN, tmp_path, MAXIMUM_TOKENS)
    assert np.array_equal(examples.tokens.lengths, sentence_lengths(50, setting.seed))
