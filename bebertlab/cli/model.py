"""`bebertlab model`: the cost of models, models in folders and in the store, import of published models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bebertlab.cli.options import PathType, Settings, format_option, pass_settings, table, work_option
from bebertlab.cli.pack import echo_packed, merged_layers, pack
from bebertlab.errors import UserError

if TYPE_CHECKING:
    from bebertlab.artifacts.imported import Imported
    from bebertlab.config.codec import OptionsCodec
    from bebertlab.interfaces.architecture import Architecture, QuantSpec
    from bebertlab.interfaces.options import Options

T = TypeVar("T", bound="Options")

_NONE = "none"  #: full precision, in place of a scheme
_CLASSES = 2
_KEY = re.compile(r"[0-9a-f]{8,64}")  #: a key or the beginning of one, not the name of an encoder

_tokens = click.option(
    "--tokens", type=click.IntRange(1), help="Length of the input.  [default: 128, or all positions if fewer]"
)


@click.group()
def model() -> None:
    """Count the size and operations of models; show, import and pack models."""


model.add_command(pack)


@model.command()
@click.argument("scheme")
@click.option(
    "--encoder",
    default="bert-base-uncased",
    show_default=True,
    help="Published BERT, kind, folder, key, or STUDY/TRIAL/STAGE.",
)
@click.option("--width", type=float, default=1.0, show_default=True, help="Fraction of heads and neurons.")
@click.option("--depth", type=float, default=1.0, show_default=True, help="Fraction of the layers.")
@click.option("--split", is_flag=True, help="Two branches for every quantized matrix, as after weight splitting.")
@click.option("--members", type=click.IntRange(1), default=1, show_default=True, help="Members of an ensemble.")
@_tokens
@click.option("--classes", type=click.IntRange(1), default=_CLASSES, show_default=True, help="Classes of the task.")
@click.option("--vocabulary", type=click.IntRange(1), help="Rows of the word embedding.  [default: the encoder's]")
@click.option("--set", "sets", multiple=True, metavar="OPTION=VALUE", help="Set an option of the scheme. Repeatable.")
@work_option
@format_option
@pass_settings
def cost(
    settings: Settings,
    scheme: str,
    encoder: str,
    width: float,
    depth: float,
    split: bool,
    members: int,
    tokens: int | None,
    classes: int,
    vocabulary: int | None,
    sets: tuple[str, ...],
    work: Path,
    form: str,
) -> None:
    """Count the bytes and operations of a model under SCHEME (`none`: full precision). Downloads and trains nothing.

    Example, BinaryBERT after weight splitting: `cost binarybert --width 0.5 --split --set activation_bits=4`.
    """
    from attrs import asdict, evolve

    from bebertlab.accounting.cost import model_cost
    from bebertlab.accounting.operations import usual_tokens
    from bebertlab.accounting.papers import paper_figure
    from bebertlab.accounting.published import encoder_sizes
    from bebertlab.cli.cost import cost_table, format_sizes
    from bebertlab.interfaces.architecture import QuantSpec
    from bebertlab.model.slice import kept_layers, scaled_width

    codec = settings.codec()
    kinds = codec.registry.kinds("encoder")
    full = encoder_sizes(_encoder(encoder, work), kinds, codec, classes=classes, vocabulary=vocabulary)
    sizes = evolve(scaled_width(full, width), layers=len(kept_layers(full.layers, depth)))
    spec = _scheme_spec(scheme, sets, codec)
    if split:
        spec = _split(sizes, spec)
    tokens = tokens or usual_tokens(sizes)
    total, full_cost = model_cost(sizes, spec, tokens).times(members), model_cost(full, QuantSpec(), tokens)
    paper = paper_figure(encoder, full, sizes, spec, members)
    if form == "json":
        data = {"scheme": scheme, "encoder": encoder, "split": split, "members": members, "tokens": tokens}
        data |= {"architecture": asdict(sizes), **total.data(), "full_precision": full_cost.data()}
        click.echo(json.dumps({**data, "papers": None if paper is None else asdict(paper)}, indent=2))
        return
    ensemble = f", sum of {members} members" if members > 1 else ""
    click.echo(f"{' '.join([scheme, *sets])} on {encoder}{', split' if split else ''}{ensemble}")
    click.echo(f"{format_sizes(sizes)}\n\n{cost_table(total, full_cost, tokens)}")
    if paper is not None:
        click.echo(f"\nPublished: {paper}.")


@model.command()
@click.argument("name", metavar="MODEL")
@_tokens
@work_option
@format_option
@pass_settings
def show(settings: Settings, name: str, tokens: int | None, work: Path, form: str) -> None:
    """Show a model, packed or not: its sizes, the quantizer of each site, its bytes and operations.

    MODEL is a folder, or a stored stage: its key or the beginning of it, its name (the latest of that name), or
    STUDY/TRIAL/STAGE, e.g. `ensemble_ablation/t007/members.0`; TRIAL may be `best`, and without /STAGE it is the
    result.
    """
    from bebertlab.packed.write import is_packed
    from bebertlab.study.find import find_model

    folder = find_model(name, work)
    if form == "table" and str(folder) != name:
        click.echo(f"folder: {folder}")
    if is_packed(folder):
        echo_packed(folder, settings.codec(), form)
    else:
        _echo_model(folder, settings.codec(), tokens, form)


@model.command("import")
@click.argument("path", metavar="FILE", type=PathType(exists=True))
@click.option(
    "--format", "kind", required=True, metavar="KIND", help="Code that wrote it; see `plugin list --role importer`."
)
@click.option("--out", required=True, type=PathType(file_okay=False), help="Folder to write to.")
@click.option("--config", type=PathType(dir_okay=False), help="Its config.json.  [default: next to FILE]")
@click.option("--tokenizer", type=PathType(), help="Folder or vocab.txt.  [default: next to FILE]")
@click.option("--set", "sets", multiple=True, metavar="OPTION=VALUE", help="Set an option of the importer. Repeatable.")
@pass_settings
def import_(
    settings: Settings,
    path: Path,
    kind: str,
    out: Path,
    config: Path | None,
    tokenizer: Path | None,
    sets: tuple[str, ...],
) -> None:
    """Convert FILE, a pytorch_model.bin or .safetensors of published code or a folder with one, to a model folder.

    A recipe uses the result with a stage `{kind: load, folder: OUT}`.
    """
    from bebertlab.artifacts.imported import import_checkpoint
    from bebertlab.interfaces.importer import ImporterOptions
    from bebertlab.model.folder import save_model

    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty; choose a new folder with --out")
    codec = settings.codec()
    importer = _options({"kind": kind}, sets, ImporterOptions, codec)  # type: ignore[type-abstract]
    imported = import_checkpoint(importer, path, config=config, tokenizer=tokenizer)
    save_model(imported.model, out, codec, imported.tokenizer, classes=imported.classes or ())
    click.echo(f"{path}: imported as {kind} into {out}")
    _echo_model(out, codec, None, "table")
    _echo_left_out(imported)


def _encoder(name: str, work: Path) -> str:
    """The folder of a stored stage that an encoder is given as; other names unchanged."""
    from bebertlab.study.find import find_model

    if Path(name).expanduser().is_dir():
        return name
    is_reference = name.count("/") == 2 or _KEY.fullmatch(name)
    return str(find_model(name, work)) if is_reference else name


def _scheme_spec(scheme: str, sets: tuple[str, ...], codec: OptionsCodec) -> QuantSpec:
    from bebertlab.interfaces.architecture import QuantSpec
    from bebertlab.interfaces.scheme import SchemeOptions

    if scheme == _NONE:
        if sets:
            raise UserError(f"--set {sets[0]}: '{_NONE}', full precision, has no options")
        return QuantSpec()
    codec.registry.find("scheme", scheme)  # an error that does not name a key of a file
    return _options({"kind": scheme}, sets, SchemeOptions, codec).spec()  # type: ignore[type-abstract]


def _options(data: Mapping[str, Any], sets: tuple[str, ...], cls: type[T], codec: OptionsCodec) -> T:
    """The options of a part with overrides from the command line."""
    from bebertlab.config.document import YamlDocument
    from bebertlab.study.overrides import parse_override

    document = YamlDocument.of(data)
    # kinds first: another kind drops the options of the old one
    overrides = sorted(map(parse_override, sets), key=lambda o: (o.path.count("."), not o.path.endswith(".kind")))
    for override in overrides:
        document = document.set(tuple(override.path.split(".")), override.value, str(override.place))
    return codec.read(document, cls)


def _split(sizes: Architecture, spec: QuantSpec) -> QuantSpec:
    from bebertlab.model.spec import quantizable_modules

    paths = [path for path, site in quantizable_modules(sizes).items() if site in spec.weights]
    if not paths:
        raise UserError("--split: the scheme quantizes no weights")
    return spec.with_branches(dict.fromkeys(paths, 2))


def _echo_model(folder: Path, codec: OptionsCodec, tokens: int | None, form: str) -> None:
    from attrs import asdict, evolve

    from bebertlab.accounting.cost import model_cost
    from bebertlab.accounting.operations import usual_tokens
    from bebertlab.accounting.size import site_bits
    from bebertlab.cli.cost import SITE_HEAD, cost_table, format_sizes, site_rows
    from bebertlab.interfaces.architecture import QuantSpec
    from bebertlab.model.classes import read_class_names
    from bebertlab.model.folder import CONFIGURATION, describe_model
    from bebertlab.model.weight_files import weight_files

    sizes, spec = describe_model(folder, codec)
    classes = read_class_names(folder / CONFIGURATION, sizes.classes)
    tokens = tokens or usual_tokens(sizes)
    stored = sum(path.stat().st_size for path in weight_files(folder))
    total, full_cost = evolve(model_cost(sizes, spec, tokens), stored=stored), model_cost(sizes, QuantSpec(), tokens)
    if form == "json":
        data = {"folder": str(folder), "tokens": tokens, "architecture": asdict(sizes)}
        data |= {
            "classes": classes and list(classes),
            "quantization": codec.dump(spec),
            "bits": codec.dump(site_bits(spec)),
            **total.data(),
        }
        click.echo(json.dumps({**data, "full_precision": full_cost.data()}, indent=2))
        return
    click.echo(f"{format_sizes(sizes)}\nclasses, by output: {_format_classes(sizes.classes, classes)}\n")
    click.echo(f"{table(SITE_HEAD, site_rows(sizes, spec))}\n")
    click.echo(cost_table(total, full_cost, tokens))


def _format_classes(outputs: int, names: tuple[str, ...] | None) -> str:
    from bebertlab.model.classes import listed, only_numbers

    if names is None:
        return "none (regression)" if outputs == 1 else "not named"
    return f"{listed(names)}{' (numbers instead of names)' if only_numbers(names) else ''}"


def _echo_left_out(imported: Imported) -> None:
    """List what did not become part of the model."""
    if imported.left_out:
        names = merged_layers(imported.left_out)
        click.echo(f"\nnot used, {len(imported.left_out)} tensors: {', '.join(names)}")
    if imported.tokenizer is None:
        click.echo("warning: no tokenizer next to it; recipes need one, choose it with --tokenizer", err=True)
