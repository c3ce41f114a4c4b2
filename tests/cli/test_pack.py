from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bebertlab.cli.main import main
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.model.folder import TENSORS, save_model
from bebertlab.packed.source import SourceFolders, read_source
from bebertlab.packed.write import PackSource, write_packed
from bebertlab.store.store import Store
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer
from bebertlab_bebert.merging import WeightedProbabilityOptions
from bebertlab_bibert.schemes import BibertScheme
from bebertlab_binarybert.uniform import Uniform


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["model", *map(str, words)])


def save(folder: Path, spec: QuantSpec, codec: OptionsCodec) -> Path:
    save_model(tiny_model(tiny_task(), spec), tiny_tokenizer(folder), codec, classes=("blame", "praise"))
    return folder


@pytest.fixture
def trained(tmp_path: Path, codec: OptionsCodec) -> Path:
    return save(tmp_path / "trained", BibertScheme().spec(), codec)


def test_a_folder_is_packed_with_a_table_of_its_bytes(trained: Path, tmp_path: Path) -> None:
    result = run("pack", trained, "--out", tmp_path / "packed")
    assert result.exit_code == 0, result.output
    size = (tmp_path / "packed" / TENSORS).stat().st_size
    rows = {line.rsplit(maxsplit=2)[0]: line.split()[-1] for line in result.stdout.splitlines()[1:12]}
    assert rows["file of tensors"] == f"{size:,}"
    assert rows["encoder"] == "1,792"
    assert sum(int(value.replace(",", "")) for value in list(rows.values())[:-2]) == size
    assert result.stdout.splitlines()[-3:] == [
        "every matrix is packed",
        "answers as trained to the bit, on 8 generated inputs",
        f"packed into {tmp_path / 'packed'}",
    ]


def test_a_packed_folder_is_replaced_by_force_only_and_never_packed(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    assert run("pack", trained, "--out", out).exit_code == 0
    again = run("pack", trained, "--out", out)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "replace a packed model by --force" in again.stderr
    assert run("pack", trained, "--out", out, "--force").exit_code == 0
    packed = run("pack", out, "--out", tmp_path / "twice")
    assert packed.exit_code == 2
    assert "the folder is of a packed model" in packed.stderr
    assert not (tmp_path / "twice").exists()
    lost = run("pack", trained, "--out", trained, "--force")
    assert lost.exit_code == 2
    assert "is not the folder of a packed model, so it is not replaced" in lost.stderr


def test_what_is_not_packed_is_listed_with_the_reason(tmp_path: Path, codec: OptionsCodec) -> None:
    spec = QuantSpec(weights={Site.QUERY: Uniform(bits=12), Site.POOLER: Uniform(bits=4)})
    trained = save(tmp_path / "trained", spec, codec)
    result = run("pack", trained, "--out", tmp_path / "packed")
    assert result.exit_code == 0, result.output
    assert "in full precision, 13 matrices:" in result.stdout
    reason = "its levels have 12 bits, and at most 8 are packed"
    assert f"bert.encoder.layer.*.attention.self.query.branches.0.weight: {reason}" in result.stdout
    shown = run("show", tmp_path / "packed")
    assert reason in shown.stdout


def test_show_explains_a_packed_folder(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    run("pack", trained, "--out", out)
    result = run("show", out)
    assert result.exit_code == 0, result.output
    assert "packed model, format 1, written by bebertlab" in result.stdout
    assert "classes, by output: blame, praise" in result.stdout
    assert "2 layers, hidden 16" in result.stdout
    assert f"{(out / TENSORS).stat().st_size:,}" in result.stdout
    data = json.loads(run("show", out, "--format", "json").stdout)
    assert data["bytes"]["file"] == (out / TENSORS).stat().st_size
    assert data["plugins"] == {"bibert": data["producer"]}
    assert data["members"][0]["architecture"]["layers"] == 2
    (out / TENSORS).write_bytes(b"broken")
    broken = run("show", out)
    assert broken.exit_code == 2
    assert "not a safetensors file" in broken.stderr


def test_equal_members_of_an_ensemble_are_shown_once(tmp_path: Path, codec: OptionsCodec) -> None:
    bibert = BibertScheme().spec()
    specs = (bibert, QuantSpec(), bibert)
    out = tmp_path / "packed"
    source = PackSource(
        models=[tiny_model(tiny_task(), spec) for spec in specs],
        tokenizer=read_tokenizer(tiny_tokenizer(tmp_path)),
        weights=(1.0, 0.25, 0.5),
        rule=WeightedProbabilityOptions(),
        classes=("blame", "praise"),
    )
    write_packed(source, out, codec)
    lines = run("show", out).stdout.splitlines()
    headings = [line for line in lines if "2 layers" in line]
    assert [heading.split(": ")[0] for heading in headings] == [
        "2 members (0, 2), weights 1, 0.5, each",
        "member 1, weight 0.25",
    ]
    assert sum(line.startswith("SITE") for line in lines) == 2


def test_all_members_are_shown_once_where_they_are_equal(tmp_path: Path, codec: OptionsCodec) -> None:
    out = tmp_path / "packed"
    source = PackSource(
        models=[tiny_model(tiny_task(), BibertScheme().spec()) for _ in range(4)],
        tokenizer=read_tokenizer(tiny_tokenizer(tmp_path)),
        weights=(0.25,) * 4,
        rule=WeightedProbabilityOptions(),
        classes=("blame", "praise"),
    )
    write_packed(source, out, codec)
    headings = [line for line in run("show", out).stdout.splitlines() if "2 layers" in line]
    assert [heading.split(": ")[0] for heading in headings] == ["4 members, weight 0.25, each"]


def test_the_report_as_json(trained: Path, tmp_path: Path) -> None:
    result = run("pack", trained, "--out", tmp_path / "packed", "--format", "json")
    data = json.loads(result.stdout)
    assert data["bytes"]["file"] == (tmp_path / "packed" / TENSORS).stat().st_size
    assert data["compared"] == {"on": "generated inputs", "examples": 8, "difference": 0.0}
    assert data["members"] == 1
    assert data["full_precision"] == {}


def test_a_source_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    result = run("pack", "nothing:best", "--out", tmp_path / "packed", "--work", tmp_path / "work")
    assert result.exit_code == 2
    assert "unknown study 'nothing'" in result.stderr
    assert not (tmp_path / "packed").exists()


def test_the_packed_model_of_a_stage_is_copied(trained: Path, tmp_path: Path, codec: OptionsCodec) -> None:
    key, store = "ab" * 32, Store(tmp_path / "work" / "store")
    with store.claim(key) as claim:
        write_packed(read_source(SourceFolders(folders=(trained,), task="tiny"), codec), claim.folder / "packed", codec)
        names = {"examples": 512, "logit_difference": 0.0, "positions_left_out": 3, "full_precision_matrices": 0}
        metrics = {f"packed/{name}": value for name, value in names.items()}
        (claim.folder / "metrics.json").write_text(json.dumps(metrics))
        claim.commit(stage="small", kind="pack", parts={"inputs": {}}, seconds=0.0, upstream_seconds={})
    out, work = tmp_path / "copy", ("--work", tmp_path / "work")
    result = run("pack", "small", "--out", out, *work)
    assert result.exit_code == 0, result.output
    assert (out / TENSORS).read_bytes() == (store.folder(key) / "packed" / TENSORS).read_bytes()
    assert 'load_model("copy")' in (out / "README.md").read_text()
    assert "left out: 3 rows of position embeddings" in result.stdout
    assert result.stdout.splitlines()[-2:] == [
        "answers as trained to the bit, on 512 examples of the evaluated splits (tiny)",
        f"copied from stage small ({key[:12]}) into {out}",
    ]
    again = run("pack", "small", "--out", out, "--force", "--format", "json", *work)
    data = json.loads(again.stdout)
    assert data["stage"] == f"small ({key[:12]})"
    assert data["bytes"]["file"] == (out / TENSORS).stat().st_size
    assert data["compared"]["examples"] == 512
    assert run("show", "small", *work).stdout.splitlines()[1].startswith("packed model, format 1")
