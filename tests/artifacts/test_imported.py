from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from bebertlab.artifacts.imported import import_checkpoint
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.stage import Codec
from bebertlab.model.folder import save_model
from bebertlab_encoders.huggingface import HuggingFaceImporter

IMPORTER = HuggingFaceImporter()


@pytest.fixture
def pickled(pretrained: Path) -> Path:
    """An old checkpoint with tensors that the model does not use."""
    tensors = load_file(pretrained / "model.safetensors") | {
        "bert.embeddings.position_ids": torch.arange(16).unsqueeze(0),
        "cls.predictions.bias": torch.full((9,), 0.5),
    }
    torch.save(tensors, pretrained / "pytorch_model.bin")
    (pretrained / "model.safetensors").unlink()
    return pretrained / "pytorch_model.bin"


def test_the_files_next_to_a_checkpoint_are_read_with_it(pickled: Path) -> None:
    for path in (pickled, pickled.parent):
        imported = import_checkpoint(IMPORTER, path)
        assert imported.model.architecture.layers == 3
        assert imported.tokenizer is not None
        assert len(imported.tokenizer) == 9
        assert imported.left_out == ("bert.embeddings.position_ids", "cls.predictions.bias")


def test_other_tokenizer_files_can_be_given(pickled: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(pickled, tmp_path / "alone.bin"))
    with pytest.raises(SetupError, match=r"config\.json: no such file; give the checkpoint's config.* --config"):
        import_checkpoint(IMPORTER, alone)
    config = pickled.parent / "config.json"
    assert import_checkpoint(IMPORTER, alone, config=config).tokenizer is None
    imported = import_checkpoint(IMPORTER, alone, config=config, tokenizer=pickled.parent / "vocab.txt")
    assert imported.tokenizer is not None
    assert imported.tokenizer.tokenizer.encode("cats run").tokens == ["[CLS]", "cat", "##s", "run", "[SEP]"]
    with pytest.raises(SetupError, match=r"none\.json: no such file$"):
        import_checkpoint(IMPORTER, alone, config=tmp_path / "none.json")


def test_errors_name_the_file_and_the_importer(pickled: Path) -> None:
    config = json.loads((pickled.parent / "config.json").read_text())
    (pickled.parent / "config.json").write_text(json.dumps(config | {"hidden_size": 16}))
    with pytest.raises(UserError, match=r"pytorch_model\.bin: importer 'huggingface': tensors do not fit the model"):
        import_checkpoint(IMPORTER, pickled)


def test_a_tokenizer_with_too_many_tokens_is_refused(pickled: Path) -> None:
    with (pickled.parent / "vocab.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(UserError, match="the ids of its tokens go up to 9, the word embedding has 9 rows"):
        import_checkpoint(IMPORTER, pickled)


def test_a_custom_tokenizer_is_saved_unchanged_with_the_model(pickled: Path, tmp_path: Path, codec: Codec) -> None:
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "Cat"])}
    custom = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    custom.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    custom.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    custom.enable_truncation(3)
    custom.save(str(pickled.parent / "tokenizer.json"))
    (pickled.parent / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    imported = import_checkpoint(IMPORTER, pickled)
    save_model(imported.model, tmp_path / "out", codec, imported.tokenizer)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (pickled.parent / name).read_bytes()
    (pickled.parent / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    with pytest.raises(UserError, match="contradict each other: do_lower_case is true, and the former keeps capitals"):
        import_checkpoint(IMPORTER, pickled)


def test_the_names_of_classes_are_read(pickled: Path) -> None:
    config = pickled.parent / "config.json"
    settings = json.loads(config.read_text())
    names = tuple("edcba")
    config.write_text(json.dumps(settings | {"id2label": dict(enumerate(names)), "label2id": None}))
    assert import_checkpoint(IMPORTER, pickled).classes == names
    config.write_text(json.dumps(settings | {"id2label": None, "label2id": None}))
    assert import_checkpoint(IMPORTER, pickled).classes is None
    config.write_text(json.dumps(settings | {"id2label": {"0": "yes"}, "label2id": None}))
    with pytest.raises(
        UserError, match=r"config\.json: id2label \(0 is yes\) must name each of the outputs 0 to 4 once"
    ):
        import_checkpoint(IMPORTER, pickled)


def test_independent_labels_are_refused(pickled: Path) -> None:
    config = pickled.parent / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"problem_type": "multi_label_classification"}))
    with pytest.raises(UserError, match="importer 'huggingface': problem_type is 'multi_label_classification'"):
        import_checkpoint(IMPORTER, pickled)


@pytest.mark.parametrize("name", ["config.json", "pytorch_model.bin", "vocab.txt", "tokenizer_config.json"])
def test_pointers_of_git_lfs_are_refused(pickled: Path, name: str) -> None:
    (pickled.parent / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    for path in (pickled, pickled.parent):
        with pytest.raises(SetupError, match=f"{name} is a git-lfs pointer"):
            import_checkpoint(IMPORTER, path)


def test_a_given_tokenizer_that_is_a_pointer_is_refused(pickled: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(SetupError, match=r"words\.txt is a git-lfs pointer"):
        import_checkpoint(IMPORTER, pickled, tokenizer=tmp_path / "words.txt")


def test_the_configuration_is_read_before_the_weights(pickled: Path) -> None:
    config = json.loads((pickled.parent / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes"}
    (pickled.parent / "config.json").write_text(json.dumps(config))
    pickled.write_bytes(b"")
    with pytest.raises(UserError, match=r"pytorch_model\.bin: config\.json has quantization_config \(bitsandbytes\)"):
        import_checkpoint(IMPORTER, pickled)
    (pickled.parent / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="holds an adapter for another model"):
        import_checkpoint(IMPORTER, pickled)
