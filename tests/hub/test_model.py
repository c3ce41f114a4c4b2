from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError, UserError
from bebertlab.hub.inputs import as_batch
from bebertlab.hub.model import PackedBertForSequenceClassification
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed

KINDS = ("single", "probabilities", "logits", "votes", "regression")
TEXTS = ["the film was good", "a very bad plot and so weak music", "good"]
Load = Callable[..., Any]


def tokenize(folder: Path, texts: list[str], pairs: list[str] | None = None) -> Mapping[str, Tensor]:
    inputs: Mapping[str, Tensor] = AutoTokenizer.from_pretrained(folder)(
        texts, pairs, padding=True, truncation=True, return_tensors="pt"
    )
    return inputs


def expected_logits(folder: Path, inputs: Mapping[str, Tensor], codec: OptionsCodec) -> Tensor:
    packed = PackedModel.of(read_packed(folder, codec))
    tensors = (inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"])
    logits = packed.logits(as_batch(*tensors, packed.architecture, torch.device("cpu")))
    return logits.log() if packed.probabilities else logits


def without_margin(logits: Tensor, expected: Tensor) -> Tensor:
    """Logits, where the first class of tied shares is not raised."""
    assert torch.equal(logits.argmax(dim=1), expected.argmax(dim=1))
    raised = (logits > expected) & (logits - expected <= 1e-6)
    return torch.where(raised, expected, logits)


@pytest.mark.parametrize("kind", KINDS)
def test_loaded_saved_and_loaded_again_the_logits_are_the_same_bits(
    kind: str, copy_packed: Callable[[str], Path], load: Load, codec: OptionsCodec, tmp_path: Path
) -> None:
    folder, saved = copy_packed(kind), tmp_path / "deep/saved"
    model = load(folder)
    assert isinstance(model, PackedBertForSequenceClassification)
    model.save_pretrained(saved)
    AutoTokenizer.from_pretrained(folder).save_pretrained(saved)
    again = load(saved)
    for inputs in (tokenize(folder, TEXTS), tokenize(folder, TEXTS, TEXTS[::-1])):
        expected = expected_logits(folder, inputs, codec)
        logits = model(**inputs).logits
        assert torch.equal(without_margin(logits, expected) if kind == "votes" else logits, expected)
        assert torch.equal(again(**inputs).logits, logits)
        assert torch.equal(again(**tokenize(saved, TEXTS)).logits, again(**tokenize(folder, TEXTS)).logits)
    assert (saved / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert "import bebertlab.hub" in (saved / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_gives_the_probabilities_or_the_value(
    kind: str, copy_packed: Callable[[str], Path], codec: OptionsCodec
) -> None:
    folder = copy_packed(kind)
    classifier = pipeline("text-classification", model=str(folder))
    answers = classifier(TEXTS, top_k=None, batch_size=2)
    logits = expected_logits(folder, tokenize(folder, TEXTS), codec)
    values = logits if kind == "regression" else logits.softmax(dim=1)
    names = ["LABEL_0"] if kind == "regression" else ["blame", "praise"]
    for answer, row in zip(answers, values, strict=True):
        scores = {part["label"]: part["score"] for part in answer}
        assert [scores[name] for name in names] == pytest.approx(row.tolist(), abs=1e-6)


def test_a_pipeline_decides_tied_votes_as_the_ensemble(
    copy_packed: Callable[[str], Path], load: Load, codec: OptionsCodec
) -> None:
    folder = copy_packed("votes")
    words = ["good", "bad", "the film", "plot", "so weak", "very poor music", "a cast", "awful and nice"]
    texts = [f"{first} {second}" for first in words for second in words]
    expected = expected_logits(folder, tokenize(folder, texts), codec)
    tied = (expected[:, 0] - expected[:, 1]).abs() < 1e-6
    assert {*expected[tied].argmax(dim=1).tolist()} == {0, 1}
    answers = pipeline("text-classification", model=str(folder))(texts)
    names = [("blame", "praise")[index] for index in expected.argmax(dim=1)]
    assert [answer["label"] for answer in answers] == names


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": torch.bfloat16},
        {"torch_dtype": "float16"},
        {"device_map": "auto"},
        {"attn_implementation": "sdpa"},
        {"output_hidden_states": True},
        {"output_attentions": True},
        {"hidden_size": 7},
        {"num_labels": 3},
        {"problem_type": "multi_label_classification"},
        {"quantization_config": {"bits": 4}},
        {"unknown": 1},
    ],
    ids=lambda fields: next(iter(fields)),
)
@pytest.mark.parametrize("auto", [True, False], ids=["auto", "class"])
def test_what_would_change_the_answers_is_refused_in_one_line(
    auto: bool, fields: dict[str, Any], single: Path, load: Load
) -> None:
    with pytest.raises(UserError) as caught:
        (load if auto else PackedBertForSequenceClassification.from_pretrained)(single, **fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.half(),
        lambda model: model.to(torch.float64),
        lambda model: model.to("meta"),
        lambda model: model.train(),
        lambda model: model.requires_grad_(),
        lambda model: model.set_attn_implementation("sdpa"),
        lambda model: model.resize_token_embeddings(30),
        lambda model: model.set_input_embeddings(torch.nn.Embedding(2, 2)),
        lambda model: model.load_state_dict(model.state_dict()),
        lambda model: model(torch.tensor([[2, 5, 3]]), output_hidden_states=True),
        lambda model: model(torch.tensor([[2, 5, 3]]), output_attentions=True),
        lambda model: model.save_pretrained("/none", push_to_hub=True),
        lambda model: model.save_pretrained("/none", state_dict={}),
        lambda model: AutoModelForSequenceClassification.from_config(model.config),
        lambda model: type(model).from_pretrained("/none", 1),
    ],
)
def test_what_a_packed_model_cannot_do_is_refused_in_one_line(
    call: Callable[[Any], object], single: Path, load: Load
) -> None:
    model = load(single)
    with pytest.raises(UserError) as caught:
        call(model)
    assert "\n" not in str(caught.value)
    assert not model.training


def test_moving_to_where_and_what_it_is_changes_nothing(single: Path, load: Load) -> None:
    model, inputs = load(single), tokenize(single, TEXTS)
    expected = model(**inputs).logits
    assert model.to("cpu").float().eval().requires_grad_(False) is model
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
    assert torch.equal(model(**inputs).logits, expected)
    assert torch.equal(copy.deepcopy(model)(**inputs).logits, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model(**inputs).logits, expected)


def test_threads_that_share_a_model_get_the_same_bits(single: Path, load: Load) -> None:
    model, inputs = load(single), tokenize(single, TEXTS)
    expected = model(**inputs).logits
    with ThreadPoolExecutor(8) as pool:
        for logits in pool.map(lambda _: model(**inputs).logits, range(24)):
            assert torch.equal(logits, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_give_a_loss_without_gradients(kind: str, copy_packed: Callable[[str], Path], load: Load) -> None:
    folder = copy_packed(kind)
    model, labels = load(folder), torch.tensor([0, 1, 1])
    loss, logits = model(**tokenize(folder, TEXTS), labels=labels, return_dict=False)
    if kind == "regression":
        expected = (logits[:, 0] - labels).square().mean()
    else:
        expected = -logits.log_softmax(dim=1)[torch.arange(3), labels].mean()
    torch.testing.assert_close(loss, expected)
    assert not loss.requires_grad


def test_names_of_classes_may_be_changed_and_are_saved(single: Path, load: Load, tmp_path: Path) -> None:
    names = {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}}
    model = load(single, **names)
    model.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert again.config.id2label == model.config.id2label == names["id2label"]
    model.config.label2id = {"no": 1, "yes": 0}
    with pytest.raises(UserError, match="contradict"):
        model.save_pretrained(tmp_path / "other")


def test_a_configuration_of_another_model_is_refused(copy_packed: Callable[[str], Path], load: Load) -> None:
    config = AutoConfig.from_pretrained(copy_packed("logits"))
    with pytest.raises(UserError, match=r"^bebertlab of the configuration is not that of the packed model"):
        load(copy_packed("single"), config=config)
    with pytest.raises(UserError, match=r"^config is of type str"):
        PackedBertForSequenceClassification.from_pretrained(copy_packed("probabilities"), config="other")  # type: ignore[arg-type]


def test_a_file_of_version_1_is_loaded(load: Load, codec: OptionsCodec) -> None:
    folder = Path(__file__).parents[1] / "packed/version_1"
    tokens = torch.tensor([[2, 5, 3], [2, 3, 0]])
    inputs = {"input_ids": tokens, "attention_mask": tokens.sign(), "token_type_ids": torch.zeros_like(tokens)}
    assert torch.equal(load(folder)(**inputs).logits, expected_logits(folder, inputs, codec))


def test_a_changed_configuration_is_not_saved(single: Path, load: Load, tmp_path: Path) -> None:
    model = load(single)
    model.config.hidden_size = 7
    with pytest.raises(UserError, match=r"^hidden_size of the configuration"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_the_configuration_of_a_caller_stays_as_it_is(single: Path, load: Load) -> None:
    config = AutoConfig.from_pretrained(single)
    before = config.to_json_string()
    load(single, config=config)
    assert (config.to_json_string(), config.name_or_path) == (before, str(single))


def test_a_damaged_file_is_refused_by_name(single: Path, load: Load) -> None:
    file = single / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{file}: .* sha256"):
        load(single)


def test_a_config_json_that_contradicts_the_tensors_is_refused(single: Path, load: Load) -> None:
    path = single / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "num_hidden_layers": 9}), "utf-8")
    with pytest.raises(UserError, match=r"^num_hidden_layers of the configuration"):
        load(single)


def test_tensors_and_their_sizes_are_those_of_the_file(single: Path, load: Load, codec: OptionsCodec) -> None:
    model, contents = load(single), read_packed(single, codec).contents
    state = model.state_dict()
    assert state.keys() == contents.arrays.keys()
    assert all(torch.equal(state[name], torch.from_numpy(array)) for name, array in contents.arrays.items())
    assert model.get_memory_footprint() == sum(array.nbytes for array in contents.arrays.values())
    assert model.num_parameters(only_trainable=True) == 0
    sizes = contents.config.members[0].architecture
    numbers = model.num_parameters() - model.num_parameters(exclude_embeddings=True)
    rows = sizes.vocabulary + sizes.positions + sizes.segments
    layer_norm, steps = 2 * sizes.hidden, sizes.vocabulary
    assert numbers == rows * sizes.hidden + layer_norm + steps
    classifier = state["classifier.weight"].clone()
    state["classifier.weight"] += 1
    assert torch.equal(model.state_dict()["classifier.weight"], classifier)


def test_the_model_of_a_file_is_that_of_its_folder(single: Path, load: Load, codec: OptionsCodec) -> None:
    model, inputs = PackedBertForSequenceClassification.of(read_packed(single, codec)), tokenize(single, TEXTS)
    assert torch.equal(model(**inputs).logits, load(single)(**inputs).logits)
    assert model.config.name_or_path == str(single)


def test_no_tensor_is_reported_as_missing(single: Path, load: Load) -> None:
    _, info = load(single, output_loading_info=True)
    assert not any(info.values())


def test_only_the_main_process_saves(single: Path, load: Load, tmp_path: Path) -> None:
    load(single).save_pretrained(tmp_path / "saved", is_main_process=False)
    assert not (tmp_path / "saved").exists()


def test_a_file_in_place_of_the_folder_is_named(single: Path, load: Load, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"file: cannot be written: File exists"):
        load(single).save_pretrained(tmp_path / "file")


def test_plugins_of_a_caller_are_loaded(single: Path, load: Load) -> None:
    with pytest.raises(UserError, match=r"none\.py"):
        load(single, plugins=["none.py"])
