from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import set_maximum_tokens
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.model.folder import save_model
from bebertlab.packed.contract import Score
from bebertlab.packed.source import SourceFolders, read_source
from bebertlab.packed.write import PRODUCER
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_bebert.merging import MeanProbabilityOptions


@pytest.fixture
def folders(tmp_path: Path, codec: OptionsCodec, scheme_spec: Callable[..., QuantSpec]) -> tuple[Path, ...]:
    """Two models of the tiny task; the second one names its outputs the other way round."""
    for seed, classes in enumerate((["blame", "praise"], ["Praise", "Blame"])):
        folder = tiny_tokenizer(tmp_path / str(seed))
        save_model(tiny_model(tiny_task(), scheme_spec("bibert"), seed=seed), folder, codec, classes=classes)
    return tmp_path / "0", tmp_path / "1"


def test_a_folder_is_read_with_what_is_known_of_it(folders: tuple[Path, ...], codec: OptionsCodec) -> None:
    score = Score(metric="accuracy", value=50.0, examples=2)
    source = read_source(SourceFolders(folders=folders[:1], task="tiny", score=score), codec)
    (model,) = source.models
    assert not model.training
    assert (source.classes, source.task, source.score, source.rule) == (("blame", "praise"), "tiny", score, None)
    assert len(source.tokenizer) == 23
    assert source.plugins == {"bibert": PRODUCER}


def test_members_have_the_outputs_of_the_first_one(folders: tuple[Path, ...], codec: OptionsCodec) -> None:
    together = SourceFolders(folders=folders, weights=(1.0, 2.0), rule=MeanProbabilityOptions())
    source = read_source(together, codec)
    alone = read_source(SourceFolders(folders=folders[1:]), codec).models[0]
    assert torch.equal(source.models[1].classifier.weight, alone.classifier.weight.flip(0))
    assert torch.equal(source.models[1].classifier.bias, alone.classifier.bias.flip(0))
    assert source.weights == (1.0, 2.0)
    assert list(source.plugins) == ["bebert", "bibert"]


def test_members_of_other_classes_or_tokenizers_are_refused(folders: tuple[Path, ...], codec: OptionsCodec) -> None:
    together = SourceFolders(folders=folders, weights=(1.0, 1.0), rule=MeanProbabilityOptions())
    set_maximum_tokens(folders[1], 16)
    with pytest.raises(UserError, match="longest inputs of the members have 16 and None tokens"):
        read_source(together, codec)
    (folders[1] / "tokenizer_config.json").unlink()
    path = folders[1] / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"plot"', '"story"'), encoding="utf-8")
    with pytest.raises(UserError, match=r"1 and .*0 have tokenizers that differ in vocabulary"):
        read_source(together, codec)
    path.write_text(text, encoding="utf-8")
    config = folders[1] / "config.json"
    data = json.loads(config.read_text(encoding="utf-8"))
    data |= {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1}}
    config.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(UserError, match="its classes are a, b, those of the first member are blame, praise"):
        read_source(together, codec)
