from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from torch import Tensor

import bebertlab
from bebertlab import TextClassifier, load_model
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import set_maximum_tokens
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.ensemble import MergerOptions
from bebertlab.interfaces.stage import Artifact
from bebertlab.interfaces.task import VALIDATION, Task
from bebertlab.model.folder import save_model
from bebertlab.packed.source import SourceFolders, read_source
from bebertlab.packed.write import write_packed
from bebertlab.registry.manager import load_plugins
from bebertlab.store.store import Store
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_bebert.merging import WeightedMeanOptions, WeightedProbabilityOptions

SHORT = {"epochs": 1, "learning_rate": 1e-3}
PLUGIN = Path(__file__).parents[1] / "docs/examples/my_quantizer.py"

#: packages that training, studies and reports need, and predictions do not
HEAVY = ("ray", "mlflow", "optuna", "datasets", "transformers", "pyarrow", "pandas", "sklearn", "scipy", "matplotlib")

Logits = Callable[[Artifact], dict[str, Tensor]]


@pytest.fixture(scope="module")
def classifier(teacher: Artifact) -> TextClassifier:
    return load_model(teacher.folder)


@pytest.fixture
def copy(teacher: Artifact, tmp_path: Path) -> Path:
    return Path(shutil.copytree(teacher.folder, tmp_path / "copy"))


def saved(folder: Path, task: Task) -> Path:
    """A model with random weights."""
    save_model(tiny_model(task), folder, OptionsCodec(load_plugins().registry), classes=task.classes)
    return tiny_tokenizer(folder)


def packed(folder: Path, codec: OptionsCodec, *models: Path, rule: MergerOptions | None = None) -> Path:
    """Trained models packed into a folder; several become an ensemble with the weights 1, 2, ..."""
    if len(models) > 1:
        rule = rule or WeightedProbabilityOptions()
    weights = tuple(1.0 + index for index in range(len(models)))
    write_packed(read_source(SourceFolders(folders=models, weights=weights, rule=rule), codec), folder, codec)
    return folder


def quantized(scheme: object) -> dict[str, object]:
    """A stage that trains a model further under a scheme."""
    return {"kind": "distill", "model": "start", "scheme": scheme, "distillation": "none", "train": SHORT}


def write_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


@pytest.mark.parametrize("scheme", [None, "bitnet", "bit"])
def test_logits_are_those_that_the_stage_stored(
    scheme: str | None, bench: StageRunner, teacher: Artifact, task: Task, logits: Logits
) -> None:
    artifact = teacher if scheme is None else bench.run(quantized(scheme), task, model=teacher)
    stored = logits(artifact)
    for split in stored:
        values = load_model(artifact.folder).logits(task.splits[split].texts)
        assert values.dtype == np.float32
        assert np.array_equal(values, stored[split].numpy())


def test_logits_of_pairs_are_those_that_the_stage_stored(bench: StageRunner, logits: Logits) -> None:
    task = tiny_task(pairs=True, examples=24)
    artifact = bench.run({"kind": "finetune", "train": SHORT}, task)
    split, classifier = task.splits[VALIDATION], load_model(artifact.folder)
    assert np.array_equal(classifier.logits(split.texts, split.pairs), logits(artifact)[VALIDATION].numpy())
    assert not np.array_equal(classifier.logits(split.texts), logits(artifact)[VALIDATION].numpy())


@pytest.mark.parametrize("scheme", ["bitnet", "bit", "binarybert"])
def test_a_packed_model_gives_the_same_logits(
    scheme: str, bench: StageRunner, teacher: Artifact, task: Task, codec: OptionsCodec, tmp_path: Path
) -> None:
    artifact, texts = bench.run(quantized(scheme), task, model=teacher), task.splits[VALIDATION].texts
    trained, small = load_model(artifact.folder), load_model(packed(tmp_path / "packed", codec, artifact.folder))
    assert (small.classes, small.maximum_tokens, small.members) == (trained.classes, trained.maximum_tokens, 1)
    assert small.logits(texts).dtype == np.float32
    assert np.array_equal(small.logits(texts), trained.logits(texts))
    assert np.array_equal(small.predict_proba(texts), trained.predict_proba(texts))
    assert small.predict(texts) == trained.predict(texts)


@pytest.mark.parametrize("rule", [WeightedProbabilityOptions(), WeightedMeanOptions()], ids=lambda rule: rule.kind)
def test_a_packed_ensemble_gives_the_scores_of_its_rule(
    rule: MergerOptions, bench: StageRunner, teacher: Artifact, task: Task, codec: OptionsCodec, tmp_path: Path
) -> None:
    members = [bench.run(quantized(scheme), task, model=teacher).folder for scheme in ("bitnet", "bit")]
    ensemble = load_model(packed(tmp_path / "packed", codec, *members, rule=rule))
    texts = task.splits[VALIDATION].texts
    logits = np.stack([load_model(member).logits(texts) for member in members]).astype(np.float64)
    scores = rule.build(2).merge(logits, np.array([1.0, 2.0]))
    assert ensemble.members == 2
    assert np.array_equal(ensemble.logits(texts), scores)
    assert ensemble.predict(texts) == [ensemble.classes[index] for index in scores.argmax(axis=1)]
    probabilities = ensemble.predict_proba(texts)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert np.array_equal(probabilities, scores) == rule.probabilities
    assert np.array_equal(probabilities.argmax(axis=1), scores.argmax(axis=1))
    assert ensemble.logits([]).dtype == scores.dtype


def test_a_packed_regression_and_one_without_names(codec: OptionsCodec, tmp_path: Path) -> None:
    regression = saved(tmp_path / "regression", tiny_task(regression=True))
    small = load_model(packed(tmp_path / "packed", codec, regression))
    assert small.classes == ()
    assert small.predict(["good film"]) == load_model(regression).predict(["good film"])
    unnamed = saved(tmp_path / "unnamed", tiny_task())
    write_config(unnamed, id2label=None, label2id=None)
    assert load_model(packed(tmp_path / "packed unnamed", codec, unnamed)).classes == load_model(unnamed).classes


def test_predictions_are_the_names_of_the_classes(task: Task, tmp_path: Path) -> None:
    classifier, texts = load_model(saved(tmp_path, task)), task.splits[VALIDATION].texts
    predicted = classifier.predict(texts)
    assert classifier.classes == task.classes
    assert predicted == [task.classes[index] for index in task.predict(classifier.logits(texts))]
    assert set(predicted) == set(task.classes)


def test_probabilities_are_the_softmax_of_the_logits(classifier: TextClassifier) -> None:
    texts = ["good film", "the plot was bad and so was the cast", "a"]
    exponentials = np.exp(classifier.logits(texts).astype(np.float64))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert classifier.predict_proba(texts) == pytest.approx(expected, abs=1e-6)


def test_logits_depend_on_neither_order_nor_batch(classifier: TextClassifier) -> None:
    texts = ["good film", "the plot was bad and so was the cast", "a", "good film"]
    together = classifier.logits(iter(texts))
    alone = np.concatenate([classifier.logits([text]) for text in reversed(texts)])[::-1]
    assert together == pytest.approx(alone, abs=1e-5)
    assert classifier.predict(np.array(texts)) == classifier.predict(texts)


def test_no_texts_give_no_predictions(classifier: TextClassifier) -> None:
    assert classifier.predict([]) == []
    assert classifier.logits([], []).shape == classifier.predict_proba(()).shape == (0, 2)


def test_a_regression_predicts_numbers(tmp_path: Path) -> None:
    classifier = load_model(saved(tmp_path, tiny_task(regression=True)))
    texts = ["good film", "bad plot"]
    values = classifier.logits(texts)
    assert classifier.classes == ()
    assert values.shape == (2, 1)
    assert classifier.predict(texts) == values[:, 0].tolist()
    with pytest.raises(UserError, match="is a regression, which has no classes; use predict or logits"):
        classifier.predict_proba(texts)


def test_classes_without_names_are_named_as_in_transformers(copy: Path, classifier: TextClassifier) -> None:
    write_config(copy, id2label=None, label2id=None)
    unnamed = load_model(copy)
    assert unnamed.classes == ("LABEL_0", "LABEL_1")
    assert unnamed.predict(["good film"]) == [f"LABEL_{classifier.logits(['good film']).argmax()}"]
    write_config(copy, id2label={"0": "0", "1": "1"})
    assert load_model(copy).classes == ("0", "1")


def test_long_texts_are_truncated_with_a_warning(copy: Path, classifier: TextClassifier) -> None:
    set_maximum_tokens(copy, 6)
    short = load_model(copy)
    assert (short.maximum_tokens, classifier.maximum_tokens) == (6, 32)
    with pytest.warns(UserWarning, match="^1 of 2 inputs are truncated to 6 tokens$") as caught:
        values = short.logits(["good film", "the plot was bad and so"])
    assert caught[0].filename == __file__
    assert values == pytest.approx(classifier.logits(["good film", "the plot was bad"]), abs=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short.predict(["the plot was bad"])
    (copy / "tokenizer_config.json").write_text('{"model_max_length": 6, "truncation_side": "left"}')
    with pytest.warns(UserWarning, match="^1 of 1 inputs are"):
        values = load_model(copy).logits(["the plot was bad and so"])
    assert values == pytest.approx(classifier.logits(["was bad and so"]), abs=1e-5)


def test_inputs_are_limited_by_the_positions_of_a_model(copy: Path) -> None:
    set_maximum_tokens(copy, 512)
    assert load_model(copy).maximum_tokens == 32


@pytest.mark.parametrize(
    ("texts", "pairs", "message"),
    [
        ("good film", None, "^texts is one text; expected a list of texts, even for one$"),
        (b"good film", None, "^texts is one text"),
        (["good film"], "a plot", "^pairs is one text"),
        (None, None, "^texts is of type NoneType; expected a list of texts$"),
        (["good film", None], None, r"^texts\[1\] is of type NoneType; expected a str$"),
        ([("good film", "a plot")], None, r"^texts\[0\] is of type tuple"),
        (["good film"], [3], r"^pairs\[0\] is of type int"),
        (["good film", "\ud800"], None, r"^texts\[1\]: \\ud800 is half of a surrogate pair"),
        (["good film"], [], "^there are 1 texts and 0 pairs; expected a second text for each$"),
    ],
)
def test_other_inputs_are_refused(texts: object, pairs: object, message: str, classifier: TextClassifier) -> None:
    for method in (classifier.predict, classifier.logits, classifier.predict_proba):
        with pytest.raises(UserError, match=message):
            method(texts, pairs)  # type: ignore[arg-type]


def test_pairs_are_refused_where_the_model_has_one_segment(copy: Path) -> None:
    write_config(copy, type_vocab_size=1)
    path = copy / "model.safetensors"
    tensors = load_file(path)
    name = "bert.embeddings.token_type_embeddings.weight"
    save_file({**tensors, name: tensors[name][:1].clone()}, path, metadata={"format": "pt"})
    classifier = load_model(copy)
    assert classifier.predict(["good film"])
    with pytest.raises(UserError, match="pairs of texts need 2"):
        classifier.predict(["good film"], ["a plot"])


def test_texts_that_cannot_be_tokenized_are_refused(copy: Path) -> None:
    (copy / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    Tokenizer(models.BPE({"v": 0}, [])).save(str(copy / "tokenizer.json"))
    with pytest.raises(UserError, match=r"gives no tokens for texts\[1\]$"):
        load_model(copy).predict(["v", "good"])
    Tokenizer(models.Unigram([("a", -1.0)])).save(str(copy / "tokenizer.json"))
    with pytest.raises(UserError, match=r"cannot tokenize the texts: .*unk_id"):
        load_model(copy).predict(["good"])


def test_a_hugging_face_classifier_is_read(pretrained: Path, pretrained_sizes: Architecture) -> None:
    from transformers import BertForSequenceClassification, BertTokenizerFast

    classifier = load_model(str(pretrained))
    assert len(classifier.classes) == pretrained_sizes.classes
    texts = ["cat dogs run", "dog"]
    model = BertForSequenceClassification.from_pretrained(pretrained).eval()
    encoded = BertTokenizerFast.from_pretrained(pretrained)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**encoded).logits.numpy()
    assert classifier.logits(texts) == pytest.approx(expected, abs=1e-5)


def test_models_with_quantizers_of_plugin_files_are_read(tmp_path: Path) -> None:
    task, codec = tiny_task(examples=24), OptionsCodec(load_plugins([PLUGIN]).registry)
    stages = StageRunner(tmp_path, codec)
    start = stages.run({"kind": "finetune", "train": SHORT}, task)
    folder = stages.run(quantized({"kind": "custom", "weights": "power_sign"}), task, model=start).folder
    assert load_model(folder, plugins=[str(PLUGIN)]).predict(["good film"])[0] in task.classes
    with pytest.raises(UserError, match="unknown quantizer 'power_sign'"):
        load_model(folder)
    with pytest.raises(UserError, match="expected a list of files, even for one"):
        load_model(folder, plugins=str(PLUGIN))
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match=r"broken\.py.*ZeroDivisionError"):
        load_model(folder, plugins=[PLUGIN, tmp_path / "broken.py"])


def test_a_folder_without_a_model_or_tokenizer_is_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nowhere: no such folder$"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(SetupError, match=r"has no config\.json; expected the folder of a stage with a model"):
        load_model(tmp_path)
    for file in copy.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(SetupError, match=r"has no tokenizer\.json; copy that of the model into it$"):
        load_model(copy)


def test_a_model_that_gives_a_text_several_classes_is_refused(copy: Path) -> None:
    write_config(copy, problem_type="multi_label_classification")
    with pytest.raises(UserError, match=r"config\.json: problem_type is 'multi_label_classification'"):
        load_model(copy)


@pytest.mark.parametrize(("device", "error"), [("nothing", UserError), ("cuda:99", SetupError)])
def test_a_device_that_cannot_be_used_is_refused(device: str, error: type[UserError], teacher: Artifact) -> None:
    with pytest.raises(error, match=f"device '{device}'"):
        load_model(teacher.folder, device=device)


def test_the_folder_of_an_ensemble_names_its_members(tmp_path: Path) -> None:
    store, inputs = Store(tmp_path), {"members": ["a" * 64, "b" * 64], "removed": ["c" * 64]}
    for key, stage, kind in (
        ("a" * 64, "first", "distill"),
        ("b" * 64, "second", "distill"),
        ("d" * 64, "all", "merge"),
    ):
        with store.claim(key) as claim:
            parts = {"inputs": inputs if kind == "merge" else {}}
            claim.commit(stage=stage, kind=kind, parts=parts, seconds=0.0, upstream_seconds={})
    members = f"first ({tmp_path / 'aa' / ('a' * 64)}), second ({tmp_path / 'bb' / ('b' * 64)})"
    with pytest.raises(
        UserError, match=r"is of stage 'all' \(kind 'merge'\), which writes no model; it reads "
    ) as raised:
        load_model(store.folder("d" * 64))
    assert str(raised.value).endswith(members)


def test_classes_with_the_same_name_are_refused(copy: Path) -> None:
    write_config(copy, id2label={"0": "good", "1": "good"}, label2id=None)
    with pytest.raises(UserError, match=r"config\.json: two classes have the same name: good, good$"):
        load_model(copy)


def test_labels_are_those_of_the_outputs_whatever_the_order_in_the_file(copy: Path, classifier: TextClassifier) -> None:
    write_config(copy, id2label={"1": "second", "0": "first"}, label2id={"second": 1, "first": 0})
    renamed = load_model(copy)
    texts = ["good film", "the plot was bad", "a"]
    assert renamed.classes == ("first", "second")
    assert renamed.predict(texts) == [("first", "second")[index] for index in classifier.logits(texts).argmax(axis=1)]


def test_a_packed_model_becomes_one_of_transformers(codec: OptionsCodec, tmp_path: Path) -> None:
    trained = saved(tmp_path / "trained", tiny_task())
    model = load_model(packed(tmp_path / "packed", codec, trained))
    inputs = torch.from_numpy(model.tokenize(["good film"]).ids.astype(np.int64))[None]
    logits = model.to_transformers()(inputs).logits
    assert np.array_equal(logits.numpy(), model.logits(["good film"]))
    with pytest.raises(UserError, match="trained is not packed; pack it by `bebertlab model pack`"):
        load_model(trained).to_transformers()


@pytest.mark.parametrize("kind", ["full precision", "quantized", "packed", "ensemble"])
def test_threads_share_a_model(
    kind: str, bench: StageRunner, teacher: Artifact, task: Task, codec: OptionsCodec, tmp_path: Path
) -> None:
    artifact = teacher if kind == "full precision" else bench.run(quantized("bit"), task, model=teacher)
    folder = artifact.folder
    if kind in ("packed", "ensemble"):
        folder = packed(tmp_path / "packed", codec, *[folder] * (2 if kind == "ensemble" else 1))
    texts = task.splits[VALIDATION].texts
    parts = [texts[start : start + 8] for start in range(8)]
    expected = [load_model(folder).logits(part) for part in parts]
    shared = load_model(folder)  # not used before, so that the threads also make its tokenizers
    start = threading.Barrier(len(parts))

    def repeated(part: Sequence[str]) -> list[np.ndarray]:
        start.wait()
        return [shared.logits(part) for _ in range(5)]

    with ThreadPoolExecutor(len(parts)) as pool:
        for values, alone in zip(pool.map(repeated, parts), expected, strict=True):
            assert all(np.array_equal(value, alone) for value in values)


def test_the_package_exports_the_classifier_only() -> None:
    assert {"load_model", "TextClassifier", "__version__"} <= set(dir(bebertlab))
    with pytest.raises(AttributeError, match="module 'bebertlab' has no attribute 'load_classifier'"):
        _ = bebertlab.load_classifier  # type: ignore[attr-defined]


def test_a_process_that_predicts_imports_no_other_heavy_package(
    bench: StageRunner, teacher: Artifact, task: Task
) -> None:
    folder = bench.run(quantized("bit"), task, model=teacher).folder
    code = f"""
import bebertlab, sys
bebertlab.load_model({str(folder)!r}).predict_proba(["good film"])
print(*sorted(set({("torch", *HEAVY)!r}) & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "torch\n", "")


@pytest.mark.slow
def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import bebertlab, sys; bebertlab.__version__; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
