"""`bebertlab model pack`, and what `model show` says of a packed model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from bebertlab.cli.options import SHORT_KEY, PathType, Settings, format_option, pass_settings, table, work_option

if TYPE_CHECKING:
    from bebertlab.config.codec import OptionsCodec
    from bebertlab.interfaces.batch import Batch
    from bebertlab.packed.check import Agreement
    from bebertlab.packed.contract import Cascade, Score
    from bebertlab.packed.read import PackedFile
    from bebertlab.packed.write import PackReport, PackSource
    from bebertlab.study.find_packable import Packable, StoredPackedModel


@click.command()
@click.argument("name", metavar="SOURCE")
@click.option("--out", required=True, type=PathType(file_okay=False), help="Folder to write to.")
@click.option("--force", is_flag=True, help="Replace a packed model that is there already.")
@click.option(
    "--cascade",
    is_flag=True,
    help="Choose a margin for `predict --cascade`: the next member is asked where the answer so far is uncertain.",
)
@click.option(
    "--cascade-tolerance",
    "tolerance",
    type=click.FloatRange(min=0),
    help="Points of the score on `select` that the cascade may cost; implies --cascade.  [default: 0.1]",
)
@work_option
@format_option
@pass_settings
def pack(
    settings: Settings,
    name: str,
    out: Path,
    force: bool,
    cascade: bool,
    tolerance: float | None,
    work: Path,
    form: str,
) -> None:
    """Pack a model or an ensemble: weights take their own number of bits on the disk.

    SOURCE is a folder of a model, or a stored stage: its key or the beginning of it, its name (the latest of that
    name), or STUDY:TRIAL:STAGE, e.g. `ensemble_ablation:best`. A stage that merges or evaluates stands for the whole
    ensemble.

    Before the folder is left in place, what it answers is compared with the answers of what was packed. Where a stage
    of the study packed the same already, its folder is copied, unless a cascade is asked for.

    The margin of a cascade is the one that asks the fewest members for nearly the same score on `select`, the examples
    that were split off from the training data. The stored logits of the members decide; no model runs for it.
    """
    from attrs import evolve

    from bebertlab.accounting.operations import usual_operations
    from bebertlab.artifacts.cascade import TOLERANCE, choose_cascade
    from bebertlab.packed.check import check_answers
    from bebertlab.packed.source import read_source
    from bebertlab.packed.write import check_target, write_packed
    from bebertlab.study.find_packable import find_packable, find_packed

    check_target(out, force=force)
    codec = settings.codec()
    with_cascade = cascade or tolerance is not None
    if not with_cascade and (stored := find_packed(name, work)) is not None:
        _copy(stored, out, codec, force=force, form=form)
        return
    packable = find_packable(name, work, codec)
    folders = packable.source
    if with_cascade:
        chosen = choose_cascade(folders, packable.task, tolerance=TOLERANCE if tolerance is None else tolerance)
        folders = evolve(folders, cascade=chosen)
    source = read_source(folders, codec)
    origin, batches = _inputs(packable, source)
    agreements: list[Agreement] = []
    report = write_packed(
        source,
        out,
        codec,
        force=force,
        check=lambda folder: agreements.append(check_answers(source, folder, codec, batches)),
    )
    (agreement,) = agreements
    written = _Written(
        folder=out,
        members=len(source.models),
        task=source.task,
        score=source.score,
        cascade=source.cascade,
        operations=[usual_operations(model.architecture, model.spec) for model in source.models],
        report=report,
        origin=origin,
        agreement=agreement,
    )
    _echo_written(written, form)


@frozen(kw_only=True, eq=False)
class _Written:
    """What is printed of a folder that was written."""

    folder: Path
    members: int
    task: str | None
    score: Score | None
    report: PackReport
    origin: str  #: what the answers were compared on
    agreement: Agreement
    cascade: Cascade | None = None
    operations: Sequence[float] = ()  #: of each member, for a cascade
    stage: str | None = None  #: the stage of the store that packed the model; None: this command did


def _echo_written(written: _Written, form: str) -> None:
    from bebertlab.packed.card import cascade_text

    report, agreement = written.report, written.agreement
    if form == "json":
        click.echo(json.dumps(_report_data(written), indent=2))
        return
    click.echo(f"{_size_table(report.parts, report.header, report.other)}\n")
    click.echo(_notes(report))
    answers = f"{agreement.examples} {written.origin}"
    equal = "to the bit" if not agreement.difference else f"within {agreement.difference:.1g}"
    if written.cascade is not None:
        click.echo(f"cascade: {cascade_text(written.cascade, written.operations)}")
    done = "packed" if written.stage is None else f"copied from stage {written.stage}"
    click.echo(f"answers as trained {equal}, on {answers}\n{done} into {written.folder}")


def _copy(stored: StoredPackedModel, out: Path, codec: OptionsCodec, *, force: bool, form: str) -> None:
    """Copy the packed model that a stage left, whose answers were compared when it was packed."""
    from bebertlab.interfaces.metric_names import PACKED_DIFFERENCE, PACKED_EXAMPLES, PACKED_POSITIONS
    from bebertlab.packed.check import Agreement
    from bebertlab.packed.copy import copy_packed
    from bebertlab.packed.write import PackReport

    file = copy_packed(stored.folder, out, codec, force=force)
    metrics = stored.manifest.metrics
    others = sum(path.stat().st_size for path in out.iterdir()) - file.file_bytes
    report = PackReport(
        parts=file.parts,
        header=file.header,
        other=others,
        full_precision=file.full_precision,
        positions=int(metrics[PACKED_POSITIONS]),
    )
    written = _Written(
        folder=out,
        members=len(file.members),
        task=file.task,
        score=file.score,
        report=report,
        origin=f"examples of the evaluated splits ({file.task})",
        agreement=Agreement(examples=int(metrics[PACKED_EXAMPLES]), difference=metrics[PACKED_DIFFERENCE]),
        stage=f"{stored.manifest.stage} ({stored.manifest.key[:SHORT_KEY]})",
    )
    _echo_written(written, form)


def echo_packed(folder: Path, codec: OptionsCodec, form: str) -> None:
    """Show a packed model: what it is, the quantizer of each site, and what takes how many bytes."""
    from bebertlab.accounting.operations import usual_operations
    from bebertlab.cli.cost import SITE_HEAD, format_sizes, site_rows
    from bebertlab.packed.card import cascade_text, score_text
    from bebertlab.packed.read import read_packed

    file = read_packed(folder, codec)
    if form == "json":
        click.echo(json.dumps(_file_data(file, codec), indent=2))
        return
    click.echo(f"packed model, format {file.contents.config.format_version}, written by {file.producer}")
    click.echo(f"task: {file.task or 'not known'}")
    click.echo(f"score: {'not known' if file.score is None else score_text(file.score)}")
    click.echo(f"classes, by output: {', '.join(file.classes) or 'none (regression)'}")
    if file.rule is not None:
        click.echo(f"ensemble: {len(file.members)} members, merged by {file.rule.kind}")
    if file.cascade is not None:
        operations = [usual_operations(member.architecture, member.spec) for member in file.members]
        click.echo(f"cascade: {cascade_text(file.cascade, operations)}")
    for indices in _equal_members(file):
        member = file.members[indices[0]]
        heading = _members_heading(file, indices) if file.rule is not None else ""
        click.echo(f"\n{heading}{format_sizes(member.architecture)}")
        click.echo(table(SITE_HEAD, site_rows(member.architecture, member.spec)))
    click.echo(f"\n{_size_table(file.parts, file.header, None)}")
    if file.full_precision:
        click.echo(f"\n{_full_precision(file.full_precision)}")


def _equal_members(file: PackedFile) -> list[list[int]]:
    """The indices of the members, grouped by equal sizes and quantizers."""
    groups: list[list[int]] = []
    for index, member in enumerate(file.members):
        for group in groups:
            first = file.members[group[0]]
            if (first.architecture, first.spec) == (member.architecture, member.spec):
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


def _members_heading(file: PackedFile, indices: Sequence[int]) -> str:
    weights = [f"{file.members[index].weight:.4g}" for index in indices]
    if len(indices) == 1:
        return f"member {indices[0]}, weight {weights[0]}: "
    which = "" if len(indices) == len(file.members) else f" ({', '.join(map(str, indices))})"
    listed = f"weight {weights[0]}" if len(set(weights)) == 1 else f"weights {', '.join(weights)}"
    return f"{len(indices)} members{which}, {listed}, each: "


def _inputs(packable: Packable, source: PackSource) -> tuple[str, Iterator[Batch]]:
    """What answers are compared on, in words and as batches."""
    from bebertlab.data.tokenizer_file import TOKENIZER_FILE
    from bebertlab.packed.check import generated_batches, validation_batches
    from bebertlab.packed.write import packed_sizes

    sizes = packed_sizes(source)
    folder = packable.source.folders[0]
    if packable.task is not None and (folder / TOKENIZER_FILE).is_file():
        return f"examples of validation ({packable.task.name})", validation_batches(packable.task, folder, sizes)
    return "generated inputs", generated_batches(sizes)


def _size_table(parts: Mapping[str, int], header: int, other: int | None) -> str:
    """What takes how many bytes, from the parts of the file of tensors to the other files."""
    from bebertlab.accounting.size import MEBIBYTE
    from bebertlab.cli.cost import PARTS

    sizes = {PARTS[part]: size for part, size in parts.items()}
    sizes["names, types and hashes"] = header
    sizes["file of tensors"] = sum(sizes.values())
    if other is not None:
        sizes["tokenizer, configuration, model card"] = other
    rows = [(label, f"{size / MEBIBYTE:.3f}", f"{size:,}") for label, size in sizes.items()]
    widths = [max(len(row[column]) for row in rows) for column in (1, 2)]
    aligned = [(row[0], row[1].rjust(widths[0]), row[2].rjust(widths[1])) for row in rows]
    return table(("PART", "MiB".rjust(widths[0]), "BYTES".rjust(widths[1])), aligned)


def _notes(report: PackReport) -> str:
    """What is not as in the source, or not packed."""
    lines = []
    if report.positions:
        lines.append(f"left out: {report.positions} rows of position embeddings that no input reaches")
    if report.full_precision:
        lines.append(_full_precision(report.full_precision))
    return "\n".join(lines) or "every matrix is packed"


def _full_precision(names: Mapping[str, str]) -> str:
    """Matrices that are not packed, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in names.items():
        by_reason.setdefault(reason, []).append(name)
    lines = [f"  {', '.join(merged_layers(listed))}: {reason}" for reason, listed in by_reason.items()]
    return "\n".join([f"in full precision, {len(names)} matrices:", *lines])


def merged_layers(names: Iterable[str]) -> list[str]:
    """Names of tensors, with * for the numbers of layers.

    >>> merged_layers(["bert.encoder.layer.0.a", "bert.encoder.layer.11.a", "b"])
    ['bert.encoder.layer.*.a', 'b']
    """
    return list(dict.fromkeys(re.sub(r"\.layer\.\d+\.", ".layer.*.", name) for name in names))


def _report_data(written: _Written) -> dict[str, Any]:
    from attrs import asdict

    report, agreement = written.report, written.agreement
    return {
        "folder": str(written.folder),
        "stage": written.stage,
        "members": written.members,
        "task": written.task,
        "score": None if written.score is None else asdict(written.score),
        "cascade": None if written.cascade is None else asdict(written.cascade),
        "bytes": {**report.parts, "header": report.header, "file": report.file, "other": report.other},
        "full_precision": dict(report.full_precision),
        "positions_left_out": report.positions,
        "compared": {"on": written.origin, "examples": agreement.examples, "difference": agreement.difference},
    }


def _file_data(file: PackedFile, codec: OptionsCodec) -> dict[str, Any]:
    from attrs import asdict

    return {
        "folder": str(file.folder),
        "producer": file.producer,
        "plugins": dict(file.plugins),
        "task": file.task,
        "score": None if file.score is None else asdict(file.score),
        "classes": list(file.classes),
        "rule": codec.dump(file.rule),
        "cascade": None if file.cascade is None else asdict(file.cascade),
        "members": [
            {"architecture": asdict(m.architecture), "design": codec.dump(m.spec), "weight": m.weight}
            for m in file.members
        ],
        "bytes": {**file.parts, "header": file.header, "file": file.file_bytes},
        "full_precision": dict(file.full_precision),
    }
