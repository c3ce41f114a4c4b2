"""`bebertlab model`: what models take, and models of published code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bebertlab.cli.options import PathType, Settings, format_option, pass_settings, table
from bebertlab.errors import UserError

if TYPE_CHECKING:
    from bebertlab.artifacts.imported import Imported
    from bebertlab.config.codec import OptionsCodec
    from bebertlab.interfaces.architecture import Architecture, QuantSpec
    from bebertlab.interfaces.options import Options

T = TypeVar("T", bound="Options")

_NONE = "none"  #: full precision, where a scheme is asked for
_CLASSES = 2

_folder = PathType(exists=True, file_okay=False)
_tokens = click.option(
    "--tokens", type=click.IntRange(1), help="Length of the sentence.  [default: 128, or all positions if fewer]"
)


@click.group()
def model() -> None:
    """Count what models take; show and import them."""


@model.command()
@click.argument("scheme")
@click.option("--encoder", default="bert-base-uncased", show_default=True, help="Published BERT, folder or kind.")
@click.option("--width", type=float, default=1.0, show_default=True, help="Part of heads and neurons.")
@click.option("--depth", type=float, default=1.0, show_default=True, help="Part of the layers.")
@click.option("--split", is_flag=True, help="Two branches of every quantized matrix, as after weight splitting.")
@click.option("--members", type=click.IntRange(1), default=1, show_default=True, help="Of an ensemble.")
@_tokens
@click.option("--classes", type=click.IntRange(1), default=_CLASSES, show_default=True, help="Of the task.")
@click.option("--vocabulary", type=click.IntRange(1), help="Rows of the word embedding.  [default: the encoder's]")
@click.option("--set", "sets", multiple=True, metavar="OPTION=VALUE", help="Set an option of the scheme. Repeatable.")
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
    form: str,
) -> None:
    """Count bytes and operations of SCHEME (or `none`: full precision). Downloads nothing, makes no model.

    Binary BERT after the split: `cost binarybert --width 0.5 --split --set activation_bits=4`.
    """
    from attrs import asdict, evolve

    from bebertlab.accounting.cost import model_cost
    from bebertlab.accounting.operations import usual_tokens
    from bebertlab.accounting.papers import paper_figure
    from bebertlab.accounting.published import encoder_sizes
    from bebertlab.cli.cost import cost_table, format_sizes
    from bebertlab.interfaces.architecture import QuantSpec
    from bebertlab.model.slice import kept_layers, scaled_width

    codec = _codec(settings)
    kinds = codec.registry.kinds("encoder")
    full = encoder_sizes(encoder, kinds, codec, classes=classes, vocabulary=vocabulary)
    sizes = evolve(scaled_width(full, width), layers=len(kept_layers(full.layers, depth)))
    spec = _scheme_design(scheme, sets, codec)
    if split:
        spec = _split(sizes, spec)
    tokens = tokens or usual_tokens(sizes)
    taken, without = model_cost(sizes, spec, tokens).times(members), model_cost(full, QuantSpec(), tokens)
    paper = paper_figure(encoder, full, sizes, spec, members)
    if form == "json":
        asked = {"scheme": scheme, "encoder": encoder, "split": split, "members": members, "tokens": tokens}
        data = {**asked, "architecture": asdict(sizes), **taken.data(), "full_precision": without.data()}
        click.echo(json.dumps({**data, "papers": None if paper is None else asdict(paper)}, indent=2))
        return
    several = f", {members} members, each counted" if members > 1 else ""
    click.echo(f"{' '.join([scheme, *sets])} on {encoder}{', split' if split else ''}{several}")
    click.echo(f"{format_sizes(sizes)}\n\n{cost_table(taken, without, tokens)}")
    if paper is not None:
        click.echo(f"\nPapers print {paper}.")


@model.command()
@click.argument("folder", type=_folder)
@_tokens
@format_option
@pass_settings
def show(settings: Settings, folder: Path, tokens: int | None, form: str) -> None:
    """Show the model in FOLDER: its sizes, what is quantized where, its bytes and operations."""
    _tell_model(folder, _codec(settings), tokens, form)


@model.command("import")
@click.argument("path", metavar="FILE", type=PathType(exists=True))
@click.option(
    "--format", "kind", required=True, metavar="KIND", help="The code that wrote it: `plugin list --role importer`."
)
@click.option("--out", required=True, type=PathType(file_okay=False), help="Folder to write.")
@click.option("--config", type=PathType(dir_okay=False), help="Its config.json.  [default: beside FILE]")
@click.option("--tokenizer", type=PathType(), help="Folder or vocab.txt.  [default: beside FILE]")
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
    """Make a model folder of FILE: a pytorch_model.bin or .safetensors of published code, or a folder with one.

    A recipe takes the result with a stage `{kind: load, folder: OUT}`.
    """
    from bebertlab.artifacts.imported import import_checkpoint
    from bebertlab.interfaces.importer import ImporterOptions
    from bebertlab.model.folder import save_model

    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} is not empty; name a new folder with --out")
    codec = _codec(settings)
    importer = _options({"kind": kind}, sets, ImporterOptions, codec)  # type: ignore[type-abstract]
    found = import_checkpoint(importer, path, config=config, tokenizer=tokenizer)
    save_model(found.model, out, codec, found.tokenizer, classes=found.classes or ())
    click.echo(f"{path}: imported as {kind} into {out}")
    _tell_model(out, codec, None, "table")
    _tell_rest(found)


def _codec(settings: Settings) -> OptionsCodec:
    from bebertlab.config.codec import OptionsCodec

    return OptionsCodec(settings.load().registry)


def _scheme_design(scheme: str, sets: tuple[str, ...], codec: OptionsCodec) -> QuantSpec:
    from bebertlab.interfaces.architecture import QuantSpec
    from bebertlab.interfaces.scheme import SchemeOptions

    if scheme == _NONE:
        if sets:
            raise UserError(f"--set {sets[0]}: '{_NONE}' is full precision and has no options")
        return QuantSpec()
    return _options({"kind": scheme}, sets, SchemeOptions, codec).spec()  # type: ignore[type-abstract]


def _options(data: Mapping[str, Any], sets: tuple[str, ...], cls: type[T], codec: OptionsCodec) -> T:
    """The options of a part with changes from the command line."""
    from bebertlab.config.document import YamlDocument
    from bebertlab.study.overrides import parse_override

    document = YamlDocument.of(data)
    # what a part is before what its options are
    for change in sorted(map(parse_override, sets), key=lambda c: (c.path.count("."), not c.path.endswith(".kind"))):
        document = document.set(tuple(change.path.split(".")), change.value, str(change.place))
    return codec.read(document, cls)


def _split(sizes: Architecture, spec: QuantSpec) -> QuantSpec:
    from bebertlab.model.spec import quantizable_modules

    paths = [path for path, site in quantizable_modules(sizes).items() if site in spec.weights]
    if not paths:
        raise UserError("--split: the scheme quantizes no weights, so there is nothing to split")
    return spec.with_branches(dict.fromkeys(paths, 2))


def _tell_model(folder: Path, codec: OptionsCodec, tokens: int | None, form: str) -> None:
    from attrs import asdict, evolve

    from bebertlab.accounting.cost import model_cost
    from bebertlab.accounting.operations import usual_tokens
    from bebertlab.cli.cost import HEAD, cost_table, design_rows, format_sizes
    from bebertlab.interfaces.architecture import QuantSpec
    from bebertlab.model.classes import read_class_names
    from bebertlab.model.folder import CONFIGURATION, describe_model
    from bebertlab.model.weight_files import weight_files

    sizes, spec = describe_model(folder, codec)
    classes = read_class_names(folder / CONFIGURATION, sizes.classes)
    tokens = tokens or usual_tokens(sizes)
    taken = evolve(model_cost(sizes, spec, tokens), stored=sum(path.stat().st_size for path in weight_files(folder)))
    without = model_cost(sizes, QuantSpec(), tokens)
    if form == "json":
        said = {"tokens": tokens, "architecture": asdict(sizes), "classes": classes and list(classes)}
        data = {**said, "design": codec.dump(spec), **taken.data()}
        click.echo(json.dumps({**data, "full_precision": without.data()}, indent=2))
        return
    click.echo(f"{format_sizes(sizes)}\nclasses, by output: {_spoken_classes(sizes.classes, classes)}\n")
    click.echo(f"{table(HEAD, design_rows(sizes, spec))}\n")
    click.echo(cost_table(taken, without, tokens))


def _spoken_classes(outputs: int, names: tuple[str, ...] | None) -> str:
    from bebertlab.model.classes import listed, only_numbers

    if names is None:
        return "none, a regression" if outputs == 1 else "not named"
    return f"{listed(names)}{' (numbers, not names)' if only_numbers(names) else ''}"


def _tell_rest(found: Imported) -> None:
    """What did not become part of the model."""
    if found.left_out:
        click.echo(f"\nleft out, {len(found.left_out)} tensors: {', '.join(_whatever_layer(found.left_out))}")
    if found.tokenizer is None:
        click.echo("warning: no tokenizer lies beside it and --tokenizer names none; recipes need one", err=True)


def _whatever_layer(names: Iterable[str]) -> list[str]:
    """Names of tensors, those of several layers once.

    >>> _whatever_layer(["bert.encoder.layer.0.a", "bert.encoder.layer.11.a", "b"])
    ['bert.encoder.layer.*.a', 'b']
    """
    return list(dict.fromkeys(re.sub(r"\.layer\.\d+\.", ".layer.*.", name) for name in names))
