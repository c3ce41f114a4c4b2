from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from click.testing import CliRunner, Result

from bebertlab.cli.main import main
from bebertlab.interfaces.stage import Codec
from bebertlab.model.folder import load_model

if TYPE_CHECKING:
    from tests.conftest import Golden

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["model", *map(str, arguments)])


def data(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    actual: dict[str, Any] = json.loads(result.stdout)
    return actual


@pytest.mark.parametrize(
    ("arguments", "matrices", "with_positions", "gigaflops"),
    [
        (["none"], 415.67, 417.6, 22.35),
        (["ternarybert"], 25.98, 27.95, 6.04),
        (["binarybert"], 12.99, 14.96, 3.3),
        (["binarybert", "--set", "activation_bits=4"], 12.99, 14.96, 1.5),
        (["binarybert", "--set", "activation_bits=4", "--width", "0.5", "--split"], 15.85, 17.9, 1.43),
        (["bibert"], 12.99, 14.96, 0.35),
    ],
)
def test_costs_match_published_figures(
    arguments: list[str], matrices: float, with_positions: float, gigaflops: float
) -> None:
    actual = data("cost", *arguments)
    assert actual["mebibytes"]["matrices"] == pytest.approx(matrices, abs=0.005)
    assert actual["mebibytes"]["matrices_biases_positions"] == pytest.approx(with_positions, abs=0.05)
    assert actual["gigaflops"]["total"] == pytest.approx(gigaflops, abs=0.025)


def test_bibert_without_positions_matches_its_paper() -> None:
    actual = data("cost", "bibert")
    assert actual["mebibytes"]["matrices_biases"] == pytest.approx(13.46, abs=0.005)
    assert (actual["papers"]["mebibytes"], actual["papers"]["gigaflops"]) == (13.4, 0.4)
    assert actual["full_precision"]["mebibytes"]["total"] == pytest.approx(417.65, abs=0.005)


def test_cost_as_a_table() -> None:
    result = run("cost", "binarybert", "--set", "activation_bits=4", "--width", "0.5", "--split", "--members", "2")
    assert result.exit_code == 0, result.output
    head, sizes, *lines = result.stdout.splitlines()
    assert head == "binarybert activation_bits=4 on bert-base-uncased, split, sum of 2 members"
    assert sizes.startswith("12 layers, hidden 768, 6 heads of 64, feed-forward 1536")
    assert any(line.split() == ["everything", "36.28", "417.65", "11.5"] for line in lines)
    assert lines[-1] == "Published: 33 MiB (BEBERT 1-1-4)."


def test_cost_of_other_encoders_and_fractions_of_them() -> None:
    actual = data("cost", "none", "--encoder", "bert-large-cased", "--depth", "0.5", "--classes", "3")
    assert (actual["architecture"]["layers"], actual["architecture"]["classes"]) == (12, 3)
    assert actual["papers"] is None
    tiny = data("cost", "binarybert", "--encoder", "tiny", "--vocabulary", "60")
    assert (tiny["architecture"]["vocabulary"], tiny["tokens"]) == (60, 64)
    assert data("cost", "none", "--tokens", "64")["tokens"] == 64


def test_options_of_a_scheme_may_be_parts() -> None:
    row = ["--set", "weights.granularity=row", "--set", "weights=twn", "--set", "word_embedding.kind=bwn"]
    actual = data("cost", "custom", *row)["parts_mebibytes"]
    plain = data("cost", "custom", "--set", "weights=twn", "--set", "word_embedding=bwn")["parts_mebibytes"]
    assert actual["encoder"] == plain["encoder"] == pytest.approx(20.25)
    assert actual["scales"] > 100 * plain["scales"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["binarybrt"], "error: unknown scheme 'binarybrt'; did you mean 'binarybert'?"),
        (["none", "--set", "a=1"], "error: --set a=1: 'none', full precision, has no options"),
        (["none", "--split"], "error: --split: the scheme quantizes no weights"),
        (["none", "--encoder", "roberta"], "error: encoder 'roberta': not a folder, and not known by name"),
        (["none", "--width", "1.5"], "error: width 1.5 must be in (0, 1]"),
        (["none", "--depth", "0"], "error: depth 0.0 must be in (0, 1]"),
        (["none", "--tokens", "600"], "error: tokens must be in [1, 512], the positions of the model; got 600"),
        (["binarybert", "--set", "activation_bit=4"], "error: --set activation_bit=4: activation_bit: "),
        (["binarybert", "--set", "activation_bits"], "error: --set activation_bits: write it as path=value"),
    ],
)
def test_errors_of_cost(arguments: list[str], message: str) -> None:
    result = run("cost", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


@pytest.fixture
def published(tmp_path: Path) -> Callable[[Golden], Path]:
    """Writes a model in the format of the published code; returns the file."""

    def write(vectors: Golden) -> Path:
        folder = tmp_path / vectors.name
        folder.mkdir()
        torch.save(vectors.below("state"), folder / "pytorch_model.bin")
        (folder / "config.json").write_text(json.dumps(vectors.meta["config"]))
        return folder / "pytorch_model.bin"

    return write


@pytest.fixture
def full_precision(published: Callable[[Golden], Path], golden: Callable[[str], Golden]) -> Path:
    return published(golden("model_fp"))


def test_import_writes_a_model_that_show_reads(
    golden: Callable[[str], Golden], full_precision: Path, tmp_path: Path, codec: Codec
) -> None:
    file, out, config = full_precision, tmp_path / "out", golden("model_fp").meta["config"]
    layers, hidden, classes = (config[name] for name in ("num_hidden_layers", "hidden_size", "num_labels"))
    (file.parent / "vocab.txt").write_text("\n".join([*VOCABULARY, ""]))
    result = run("import", file, "--format", "huggingface", "--out", out)
    assert result.exit_code == 0, result.output
    start = f"{file}: imported as huggingface into {out}\n{layers} layers, hidden {hidden}"
    assert result.stdout.startswith(start)
    assert (result.stderr, "not used" in result.stdout) == ("", False)
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json"}
    sizes = load_model(out, codec).architecture
    assert (sizes.layers, sizes.hidden, sizes.classes) == (layers, hidden, classes)
    shown = data("show", out)
    assert shown["architecture"]["hidden"] == hidden
    assert shown["mebibytes"]["stored"] == (out / "model.safetensors").stat().st_size / 2**20
    fewer = data("show", out, "--tokens", shown["tokens"] // 2)
    assert fewer["gigaflops"]["total"] < shown["gigaflops"]["total"]
    assert run("show", out).stdout in result.stdout


def test_import_keeps_the_names_of_the_classes(full_precision: Path, tmp_path: Path) -> None:
    config = full_precision.parent / "config.json"
    settings = json.loads(config.read_text())
    plain = _imported(full_precision, tmp_path / "plain").stdout
    numbers = [f"LABEL_{output}" for output in range(settings["num_labels"])]
    assert f"classes, by output: {', '.join(numbers)} (numbers instead of names)\n" in plain
    assert data("show", tmp_path / "plain")["classes"] == numbers
    names = [f"class {letter}" for letter in "XYZ"[: settings["num_labels"]]]
    settings["id2label"] = dict(enumerate(names))
    config.write_text(json.dumps(settings))
    assert f"classes, by output: {', '.join(names)}\n" in _imported(full_precision, tmp_path / "named").stdout
    assert data("show", tmp_path / "named")["classes"] == names
    written = json.loads((tmp_path / "named" / "config.json").read_text())
    assert (list(written["id2label"].values()), list(written["label2id"])) == (names, names)
    config.write_text(json.dumps(settings | {"label2id": {name: 0 for name in names}}))
    wrong = run("import", full_precision, "--format", "huggingface", "--out", tmp_path / "wrong")
    assert wrong.exit_code == 2
    assert f"error: {config}: id2label and label2id contradict each other" in wrong.stderr


def _imported(file: Path, out: Path) -> Result:
    result = run("import", file, "--format", "huggingface", "--out", out)
    assert result.exit_code == 0, result.output
    return result


def test_import_lists_unused_tensors(full_precision: Path, tmp_path: Path) -> None:
    file, out = full_precision, tmp_path / "out"
    state = torch.load(file, weights_only=True)
    torch.save(state | {f"cls.layer.{index}.bias": torch.full((2,), index + 0.5) for index in range(3)}, file)
    result = run("import", file, "--format", "huggingface", "--out", out)
    assert result.stdout.endswith("not used, 3 tensors: cls.layer.*.bias\n")
    assert "warning: no tokenizer next to it" in result.stderr


def test_import_of_a_quantized_model(
    golden: Callable[[str], Golden], published: Callable[[Golden], Path], tmp_path: Path
) -> None:
    out, vectors = tmp_path / "out", golden("model_binary_w1a4_lsq")
    notified = ("weight_bits", "weight_quant_method", "input_bits", "input_quant_method")
    expected = [str(vectors.meta["config"][name]) for name in notified]
    result = run("import", published(vectors), "--format", "binarybert", "--out", out)
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    assert rows["query"] == [*expected, "2"]
    shown = data("show", out)
    assert shown["quantization"]["branches"]["bert.pooler.dense"] == 2
    assert shown["bits"]["weights"]["query"] == int(expected[0])
    bits = 2 * int(expected[0])
    assert shown["full_precision"]["mebibytes"]["matrices"] == 32 / bits * shown["mebibytes"]["matrices"]


#: importers of the models of a published code
KINDS = {
    "BinaryBERT": "binarybert",
    "BEBERT/binarybert": "binarybert",
    "TernaryBERT": "ternarybert",
    "BiBERT": "bibert",
    "BEBERT/BiBERT": "bebert-bibert",
    "bit": "bit",
}


def test_an_imported_model_predicts_like_the_published_code(
    published: Callable[[Golden], Path],
    golden_models: Callable[..., dict[str, Golden]],
    tmp_path: Path,
    codec: Codec,
) -> None:
    for name, vectors in golden_models(*KINDS).items():
        file, ways = published(vectors), {KINDS[vectors.code()]: ["--set", "as_published=true"]}
        if name == "model_fp":
            ways["huggingface"] = []
        for kind, more in ways.items():
            out = tmp_path / f"{name}_{kind}"
            result = run("import", file, "--format", kind, "--out", out, *more)
            assert result.exit_code == 0, result.output
            logits = load_model(out, codec).eval()(vectors.batch()).logits
            tolerance = next(value for what, value in vectors.meta["tolerance"].items() if what.startswith("logits"))
            torch.testing.assert_close(logits, vectors.tensors["out/logits"], **tolerance)


def test_import_takes_options_of_the_importer(full_precision: Path, tmp_path: Path) -> None:
    result = run("import", full_precision, "--format", "huggingface", "--out", tmp_path / "o", "--set", "a=1")
    assert result.exit_code == 2
    assert "--set a=1: a: " in result.stderr


def test_errors_of_import(full_precision: Path, tmp_path: Path) -> None:
    file = full_precision
    unknown = run("import", file, "--format", "hugingface", "--out", tmp_path / "out")
    assert "unknown importer 'hugingface'; did you mean 'huggingface'?" in unknown.stderr
    full = run("import", file, "--format", "huggingface", "--out", file.parent)
    assert f"error: {file.parent} is not empty; choose a new folder with --out" in full.stderr
    (file.parent / "config.json").write_text("{}")
    wrong = run("import", file, "--format", "huggingface", "--out", tmp_path / "out")
    assert "importer 'huggingface': config.json lacks vocab_size" in wrong.stderr
    assert [result.exit_code for result in (unknown, full, wrong)] == [2, 2, 2]
    assert not (tmp_path / "out").exists()


def test_show_of_a_folder_without_a_model(tmp_path: Path) -> None:
    result = run("show", tmp_path)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "config.json: no such file" in result.stderr
