from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pytest
import torch
from click.testing import CliRunner, Result
from pyarrow import parquet

from bebertlab import TextClassifier, load_model
from bebertlab.cli.main import main
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import set_maximum_tokens
from bebertlab.data.tokens import Tokens
from bebertlab.inference.cascade import EnsembleAnswers
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import save_model
from bebertlab.packed.source import SourceFolders, read_source
from bebertlab.packed.write import write_packed
from bebertlab.registry.manager import load_plugins
from bebertlab.store.store import Store
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer

PLUGIN = Path(__file__).parents[2] / "docs/examples/my_quantizer.py"
TEXTS = ["good film", "the plot was bad", "", "a cast"]


def saved(folder: Path, task: Task) -> Path:
    save_model(tiny_model(task), folder, OptionsCodec(load_plugins().registry), classes=task.classes)
    return tiny_tokenizer(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("model"), tiny_task())


@pytest.fixture(scope="module")
def classifier(model: Path) -> TextClassifier:
    return load_model(model)


def predict(*words: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, words)], input=stdin)


def labels(output: str) -> list[object]:
    return [json.loads(line)["label"] for line in output.splitlines()]


def test_each_line_of_standard_input_has_a_row(model: Path, classifier: TextClassifier) -> None:
    for words in ((model,), (model, "-")):
        result = predict(*words, stdin="\r\n".join(TEXTS))
        assert result.exit_code == 0, result.stderr
        assert labels(result.stdout) == classifier.predict(TEXTS)
        assert result.stderr == "warning: 1 of 4 inputs with an empty text, classified as it is\n"


@pytest.mark.parametrize("form", ["text", "csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(form: str, model: Path, classifier: TextClassifier, tmp_path: Path) -> None:
    path = tmp_path / f"input.{form}"
    column = () if form == "text" else ("--column", "text")
    if form == "parquet":
        parquet.write_table(pyarrow.table({"id": range(len(TEXTS)), "text": TEXTS}), path)
    elif form == "text":
        path.write_text("\n".join(TEXTS))
    elif form == "jsonl":
        path.write_text("\n".join(json.dumps({"text": text, "id": 1}) for text in TEXTS))
    else:
        separator = {"csv": ",", "tsv": "\t"}[form]
        path.write_text(
            "".join(f"{first}{separator}{text}\n" for first, text in zip("i1234", ["text", *TEXTS], strict=True))
        )
    result = predict(model, path, *column, "--input-format", form)
    assert result.exit_code == 0, result.stderr
    assert labels(result.stdout) == classifier.predict(TEXTS)


def test_two_columns_are_pairs(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", tiny_task(pairs=True))
    (tmp_path / "pairs.csv").write_text("first,second\ngood film,bad\na,plot\n")
    result = predict(folder, tmp_path / "pairs.csv", "--column", "first", "--column", "second")
    probabilities = [list(json.loads(line)["probabilities"].values()) for line in result.stdout.splitlines()]
    expected = load_model(folder).predict_proba(["good film", "a"], ["bad", "plot"])
    assert probabilities == pytest.approx(expected, abs=1e-6)


def test_a_regression_gives_values(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", tiny_task(regression=True))
    result = predict(folder, stdin="good film\nbad\n")
    values = [json.loads(line)["value"] for line in result.stdout.splitlines()]
    assert values == pytest.approx(load_model(folder).predict(["good film", "bad"]), abs=1e-6)
    refused = predict(folder, "--top", 1, stdin="good film\n")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "error: --top: the model is a regression, which has no classes\n"


def test_the_output_is_a_file_in_the_format_of_its_suffix(
    model: Path, classifier: TextClassifier, tmp_path: Path
) -> None:
    for name, words in (("out.csv", ()), ("out.CSV", ()), ("out.txt", ("--format", "csv"))):
        result = predict(model, "--output", tmp_path / name, "--top", 1, *words, stdin="good film\n")
        assert (result.exit_code, result.output) == (0, "")
        header, row = (tmp_path / name).read_text().splitlines()
        assert header == "label,probability"
        assert row.split(",")[0] == classifier.predict(["good film"])[0]
    predict(model, "--output", tmp_path / "out.json", stdin="good film\n")
    assert labels((tmp_path / "out.json").read_text()) == classifier.predict(["good film"])


def test_no_input_gives_no_rows(model: Path) -> None:
    assert (predict(model, stdin="").exit_code, predict(model, stdin="").output) == (0, "")
    assert predict(model, "--format", "csv", "--top", 1, stdin="").stdout == "label,probability\n"


def test_rows_do_not_depend_on_the_size_of_batches(model: Path) -> None:
    stdin = "\n".join(TEXTS * 5)
    every = [predict(model, "--batch-size", size, stdin=stdin).stdout for size in (1, 3, 1024)]
    assert labels(every[0]) == labels(every[1]) == labels(every[2])
    assert len(labels(every[0])) == 20


def test_a_problem_stops_after_the_rows_before_it(model: Path, tmp_path: Path) -> None:
    stdin = b"good film\nbad \xff\na\n"
    result = predict(model, stdin=stdin)
    assert (result.exit_code, len(labels(result.stdout))) == (2, 1)
    assert result.stderr == "rows written: 1\nerror: standard input, line 2: byte 0xff is not UTF-8\n"
    path = tmp_path / "out.jsonl"
    result = predict(model, "--output", path, stdin=stdin)
    assert (result.exit_code, path.exists()) == (2, False)
    assert result.stderr.startswith(f"rows written to {path}.part: 1\n")
    assert len(labels((tmp_path / "out.jsonl.part").read_text())) == 1


def test_a_problem_is_null_if_asked_for(model: Path, classifier: TextClassifier) -> None:
    result = predict(model, "--on-error", "null", stdin=b"good film\nbad \xff\na\n")
    first, last = classifier.predict(["good film", "a"])
    assert (result.exit_code, labels(result.stdout)) == (0, [first, None, last])
    assert result.stderr == (
        "warning: 1 of 3 inputs without a prediction; the first is line 2: byte 0xff is not UTF-8\n"
    )


def test_truncated_texts_are_counted_once(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", tiny_task())
    set_maximum_tokens(folder, 6)
    result = predict(folder, "--batch-size", 1, stdin="the plot was bad and so\n" * 3 + "a\n")
    assert result.stderr == "warning: 3 of 4 inputs truncated to 6 tokens\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["input.json"], 2, "input.json: its suffix is none of .txt, .csv, .tsv, .jsonl, .ndjson, .parquet; name its"),
        (
            ["input.csv", "--column", "texd"],
            2,
            "input.csv has no column 'texd'; did you mean 'text'? (known: id, text)",
        ),
        (["input.csv"], 2, "input.csv has 2 columns; choose the column of the texts with --column: id, text"),
        (["--column", "text"], 2, "--column: lines of text have no columns"),
        (["--input-format", "parquet"], 2, "standard input: parquet cannot be read from a stream; give a file"),
        (["--output", "nowhere/out.csv"], 3, "nowhere/out.csv.part: cannot be written"),
        (["--device", "nothing"], 2, "device 'nothing' is not known to torch"),
        (["missing.csv"], 2, "File 'missing.csv' does not exist"),
    ],
)
def test_what_cannot_be_done_is_named(
    words: Sequence[str], code: int, message: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("input.json", "input.csv"):
        Path(name).write_text("id,text\n1,good film\n")
    result = predict(model, *words, stdin="good film\n")
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in " ".join(result.stderr.split())


def test_a_stored_stage_is_a_model(model: Path, classifier: TextClassifier, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with store.claim("a" * 64) as claim:
        for file in model.iterdir():
            (claim.folder / file.name).write_bytes(file.read_bytes())
        claim.commit(stage="student", kind="finetune", parts={"inputs": {}}, seconds=0.0, upstream_seconds={})
    for name in ("student", "a" * 8):
        result = predict(name, "--work", tmp_path, stdin="good film\n")
        assert result.exit_code == 0, result.stderr
        assert labels(result.stdout) == classifier.predict(["good film"])


def test_a_packed_model_is_read(model: Path, classifier: TextClassifier, tmp_path: Path) -> None:
    codec = OptionsCodec(load_plugins().registry)
    write_packed(read_source(SourceFolders(folders=(model,)), codec), tmp_path / "packed", codec)
    result = predict(tmp_path / "packed", stdin="good film\na cast\n")
    assert result.exit_code == 0, result.stderr
    assert labels(result.stdout) == classifier.predict(["good film", "a cast"])


def test_a_model_with_quantizers_of_a_plugin_file_is_read(tmp_path: Path) -> None:
    codec = OptionsCodec(load_plugins([PLUGIN]).registry)
    spec = codec.load({"kind": "custom", "weights": "power_sign"}, SchemeOptions).spec()  # type: ignore[type-abstract]
    task = tiny_task()
    save_model(tiny_model(task, spec), tmp_path, codec, classes=task.classes)
    tiny_tokenizer(tmp_path)
    result = CliRunner().invoke(main, ["-p", str(PLUGIN), "predict", str(tmp_path)], input="good film\n")
    assert labels(result.stdout) == load_model(tmp_path, plugins=[PLUGIN]).predict(["good film"])
    without = predict(tmp_path, stdin="good film\n")
    assert (without.exit_code, without.stdout) == (2, "")
    assert "unknown quantizer 'power_sign'" in without.stderr


def test_threads_are_those_of_the_option_while_it_computes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, used = torch.get_num_threads(), set()
    answers_of = TextClassifier.answers_of

    def recorded(classifier: TextClassifier, tokens: Tokens) -> EnsembleAnswers:
        used.add(torch.get_num_threads())
        return answers_of(classifier, tokens)

    monkeypatch.setattr(TextClassifier, "answers_of", recorded)
    assert predict(model, "--threads", 2, stdin="good film\n").exit_code == 0
    assert used == {2}
    assert torch.get_num_threads() == before


def test_a_terminal_has_an_answer_to_each_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    lines = iter([b"good film\n", b"bad\n", b""])

    def readline(limit: int) -> bytes:
        events.append("read")
        return next(lines)

    terminal = SimpleNamespace(isatty=lambda: True, buffer=SimpleNamespace(readline=readline))
    with monkeypatch.context() as patch:
        patch.setattr("bebertlab.cli.predict.sys", SimpleNamespace(stdin=terminal))
        patch.setattr("bebertlab.cli.output_file.OutputFile.write", lambda self, text: events.append("write"))
        result = predict(model)
    assert events == ["read", "write", "read", "write", "read"]
    assert result.stderr == "one input per line; Ctrl-D ends\n"


@pytest.mark.slow
def test_a_closed_pipe_ends_it_without_a_message(model: Path) -> None:
    command = [sys.executable, "-m", "bebertlab", "predict", str(model), "--batch-size", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"good film\n" * 2000)
        process.stdin.flush()
        assert b"label" in process.stdout.readline()
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.slow
def test_an_interrupt_leaves_whole_rows_and_says_how_many(model: Path) -> None:
    command = [sys.executable, "-m", "bebertlab", "predict", str(model), "--batch-size", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"good film\n" * 2)
        process.stdin.flush()
        rows = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read().decode()
        assert process.stdout.read() == b""
    assert process.returncode == 130
    assert all(json.loads(row)["label"] for row in rows)
    assert errors.startswith("rows written: 2\ninterrupted; run again with:\n  bebertlab predict ")


def test_a_process_that_predicts_imports_no_other_heavy_package(model: Path) -> None:
    heavy = ("torch", "ray", "mlflow", "optuna", "datasets", "transformers", "pyarrow", "pandas", "sklearn", "scipy")
    code = f"""
import sys
from bebertlab.cli.main import main
main(["predict", {str(model)!r}], standalone_mode=False)
print(*sorted(set({heavy}) & sys.modules.keys()))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input="good film\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "torch"
