from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from safetensors.torch import load_file
from torch import Tensor

from bebertlab.artifacts.model import model_digest, set_up_training
from bebertlab.data.tokenizer import read_tokenizer, set_maximum_tokens
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.stage import Artifact, Planning, StageOptions
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.classes import reorder_outputs
from bebertlab.model.folder import load_model, save_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab.training.options import TrainOptions
from bebertlab_binarybert import Bwn
from bebertlab_stages import bebertlab_stages
from bebertlab_stages.load import LoadStage

NO_INPUTS: Mapping[str, tuple[StageOptions, ...]] = {}


@pytest.fixture
def folder(teacher: Artifact, tmp_path: Path) -> Path:
    """A stored model that may be changed."""
    return shutil.copytree(teacher.folder, tmp_path / "model")


def prepared(folder: Path, bench: StageRunner, task: Task) -> LoadStage:
    return LoadStage(folder=folder).prepare(NO_INPUTS, task, bench.codec)


def test_load_is_a_registered_stage() -> None:
    assert LoadStage in bebertlab_stages()


def test_a_loaded_model_gives_the_outputs_of_the_original(
    bench: StageRunner,
    task: Task,
    teacher: Artifact,
    metrics: Callable[[Artifact], dict[str, float]],
    logits: Callable[[Artifact], dict[str, Tensor]],
) -> None:
    loaded = bench.run(prepared(teacher.folder, bench, task), task)
    assert model_digest(loaded.folder) == model_digest(teacher.folder)
    assert all((logits(loaded)[split] == logits(teacher)[split]).all() for split in ("select", "validation"))
    trained = ("train/", "truncated/train")
    notified = {name: value for name, value in metrics(teacher).items() if not name.startswith(trained)}
    assert metrics(loaded) == notified


def test_a_quantized_model_keeps_its_spec(bench: StageRunner, task: Task, tmp_path: Path) -> None:
    spec = QuantSpec(weights={Site.QUERY: Bwn()})
    save_model(tiny_model(task, spec), tiny_tokenizer(tmp_path / "low"), bench.codec)
    loaded = bench.run(prepared(tmp_path / "low", bench, task), task)
    assert load_model(loaded.folder, bench.codec).spec == spec


def test_the_specification_is_read_from_the_folder(
    bench: StageRunner, task: Task, folder: Path, teacher: Artifact
) -> None:
    stage = prepared(folder, bench, task)
    assert stage.digest == prepared(teacher.folder, bench, task).digest == model_digest(folder)
    assert stage.prepare(NO_INPUTS, task, bench.codec) == stage
    save_model(tiny_model(task, seed=5), folder, bench.codec)
    assert prepared(folder, bench, task).digest != stage.digest


def test_a_folder_with_another_digest_is_refused(bench: StageRunner, task: Task, folder: Path) -> None:
    stage = prepared(folder, bench, task)
    save_model(tiny_model(task, seed=5), folder, bench.codec)
    with pytest.raises(UserError, match=f"not {stage.digest}: it is another model"):
        stage.prepare(NO_INPUTS, task, bench.codec)
    with pytest.raises(SetupError, match="changed since the recipe was planned"):
        bench.run(stage, task, prepare=False)


def test_outputs_are_reordered_for_the_task(
    bench: StageRunner,
    task: Task,
    folder: Path,
    teacher: Artifact,
    metrics: Callable[[Artifact], dict[str, float]],
    logits: Callable[[Artifact], dict[str, Tensor]],
) -> None:
    model = load_model(folder, bench.codec)
    turned = BertClassifier.from_checkpoint(reorder_outputs(model.checkpoint(), (1, 0)))
    save_model(turned, folder, bench.codec, classes=("Praise", "BLAME"))
    bench.warnings.clear()
    loaded = bench.run(prepared(folder, bench, task), task)
    assert all(torch.equal(rows, logits(loaded)[split]) for split, rows in logits(teacher).items())
    assert metrics(loaded)["validation/score"] == metrics(teacher)["validation/score"]
    assert model_digest(loaded.folder) == model_digest(teacher.folder)
    assert not bench.warnings


def test_a_folder_without_class_names_is_warned_about_unless_the_order_is_stated(
    bench: StageRunner, task: Task, folder: Path
) -> None:
    save_model(load_model(folder, bench.codec), folder, bench.codec)
    bench.warnings.clear()
    bench.run(prepared(folder, bench, task), task)
    (warning,) = bench.warnings
    assert "in the order of task 'tiny', blame, praise. To state the order, set the option `classes`" in warning
    stage = bench.codec.load({"kind": "load", "folder": str(folder), "classes": ["praise", "blame"]}, LoadStage)
    ready = stage.prepare(NO_INPUTS, task, bench.codec)
    assert bench.codec.dump(ready)["classes"] == ["praise", "blame"]
    turned = bench.run(ready, task)
    assert len(bench.warnings) == 1
    weights = [load_model(item, bench.codec).classifier.weight for item in (turned.folder, folder)]
    assert torch.equal(weights[0], weights[1].flip(0))


def test_other_classes_are_refused_when_the_recipe_is_planned(bench: StageRunner, task: Task, folder: Path) -> None:
    save_model(load_model(folder, bench.codec), folder, bench.codec, classes=("NEG", "POS"))
    with pytest.raises(UserError, match="named NEG, POS; the classes of the task are blame, praise; correct that file"):
        prepared(folder, bench, task)
    with pytest.raises(UserError, match="expected the classes of task 'tiny', blame, praise"):
        LoadStage(folder=folder, classes=("NEG", "POS")).prepare(NO_INPUTS, task, bench.codec)


def test_a_model_of_another_number_of_classes_is_refused(bench: StageRunner, folder: Path) -> None:
    with pytest.raises(UserError, match="has 2 outputs, task 'tiny' needs 1"):
        prepared(folder, bench, tiny_task(regression=True))


def test_missing_files_are_named(bench: StageRunner, task: Task, folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(SetupError, match=r"has no tokenizer\.json; `bebertlab model import --tokenizer`"):
        prepared(folder, bench, task)
    with pytest.raises(SetupError, match="nowhere: no such folder"):
        prepared(tmp_path / "nowhere", bench, task)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_pointers_of_git_lfs_are_refused_when_the_recipe_is_planned(
    bench: StageRunner, task: Task, folder: Path, name: str
) -> None:
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(SetupError, match=f"{name} is a git-lfs pointer, not the file itself; run"):
        prepared(folder, bench, task)


def test_a_classifier_of_another_kind_is_refused_when_the_recipe_is_planned(
    bench: StageRunner, task: Task, folder: Path
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForTokenClassification"]}))
    with pytest.raises(UserError, match="architectures has BertForTokenClassification, whose classifier is not one of"):
        prepared(folder, bench, task)
    (folder / "config.json").write_text(json.dumps(config | {"num_labels": 3}))
    with pytest.raises(UserError, match="num_labels names 3 classes; the classifier has 2 outputs"):
        prepared(folder, bench, task)


def test_pickled_weights_give_equal_outputs(
    bench: StageRunner, task: Task, folder: Path, teacher: Artifact, logits: Callable[[Artifact], dict[str, Tensor]]
) -> None:
    tensors = load_file(folder / "model.safetensors")
    torch.save({f"module._orig_mod.{name}": tensor for name, tensor in tensors.items()}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    loaded = bench.run(prepared(folder, bench, task), task)
    assert all((logits(loaded)[split] == logits(teacher)[split]).all() for split in ("select", "validation"))


def test_plans_read_an_unchanged_pickle_once(
    bench: StageRunner, task: Task, folder: Path, planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    read: list[object] = []
    load = torch.load

    def counted(path: Path, **more: Any) -> Any:  # noqa: ANN401 - as torch's
        read.append(path)
        return load(path, **more)

    monkeypatch.setattr(torch, "load", counted)
    planning = evolve(planning, codec=bench.codec)
    for _ in range(2):
        stage = prepared(folder, bench, task)
        stage.composition({}, bench.codec)
        stage.plan_model({}, planning)
    assert len(read) == 1
    torch.save({**tensors, "classifier.bias": tensors["classifier.bias"] + 1}, folder / "pytorch_model.bin")
    prepared(folder, bench, task)
    assert len(read) == 2


def test_a_model_reads_inputs_up_to_its_maximum_length(bench: StageRunner, task: Task, folder: Path) -> None:
    assert prepared(folder, bench, task).maximum_tokens == 32
    set_maximum_tokens(folder, 6)
    own_length = prepared(folder, bench, task)
    assert own_length.maximum_tokens == 6
    loaded = bench.run(own_length, task)
    context = bench.context(task)  # its encoder reads up to 32 tokens
    assert set_up_training(context, TrainOptions(), loaded.folder).train.tokens.lengths.max() == 6
    longer = LoadStage(folder=folder, maximum_tokens=9).prepare(NO_INPUTS, task, bench.codec)
    assert longer.maximum_tokens == 9
    assert set_up_training(context, TrainOptions(), bench.run(longer, task).folder).train.tokens.lengths.max() == 9
    set_maximum_tokens(folder, 512)
    assert prepared(folder, bench, task).maximum_tokens == 32
    (folder / "tokenizer_config.json").unlink()
    assert prepared(folder, bench, task).maximum_tokens == 32


def test_inputs_longer_than_the_positions_are_refused(bench: StageRunner, task: Task, folder: Path) -> None:
    with pytest.raises(UserError, match=r"maximum_tokens is 33; the model in .* has 32 positions, so set it to 32 or"):
        LoadStage(folder=folder, maximum_tokens=33).prepare(NO_INPUTS, task, bench.codec)


def test_pairs_of_texts_need_two_segments(bench: StageRunner, tmp_path: Path) -> None:
    task = tiny_task()
    sizes = evolve(tiny_model(task).architecture, segments=1)
    model = BertClassifier.from_checkpoint(random_checkpoint(sizes, seed=0))
    save_model(model, tiny_tokenizer(tmp_path / "one"), bench.codec)
    bench.run(prepared(tmp_path / "one", bench, task), task)
    with pytest.raises(UserError, match=r"one has 1 segment embedding \(type_vocab_size\), pairs of texts need 2"):
        prepared(tmp_path / "one", bench, tiny_task(pairs=True))


def test_a_vocabulary_becomes_a_tokenizer_as_for_an_encoder(bench: StageRunner, task: Task, folder: Path) -> None:
    data = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = sorted(data["model"]["vocab"], key=data["model"]["vocab"].get)
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    loaded = bench.run(prepared(folder, bench, task), task)
    assert (loaded.folder / "logits.safetensors").read_bytes() == (folder / "logits.safetensors").read_bytes()
    assert read_tokenizer(loaded.folder).tokenizer.encode("good").tokens == ["[CLS]", "good", "[SEP]"]


def test_a_plan_has_the_architecture_input_length_and_tokenizer(
    bench: StageRunner, task: Task, folder: Path, planning: Planning
) -> None:
    actual = prepared(folder, bench, task).plan_model({}, planning)
    assert actual is not None
    assert (actual.maximum_tokens, actual.architecture) == (32, tiny_model(task).architecture)
    assert actual.tokenizer.parts() == read_tokenizer(folder).parts
    assert str(folder) in actual.tokenizer.name


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(bench: StageRunner, task: Task, folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["another"])
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(UserError, match="the ids of its tokens go up to 23, the word embedding has 23 rows"):
        prepared(folder, bench, task)
