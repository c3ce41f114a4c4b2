"""The contract of stages and groups of stages."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen

from bebertlab.artifacts.metrics import METRICS_FILE, read_metrics
from bebertlab.artifacts.model import input_length, predict_split, read_model
from bebertlab.artifacts.outputs import LOGITS_FILE, read_logits, score_metrics
from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import has_tokenizer
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.stage import (
    Artifact,
    Context,
    Inputs,
    PlannedModel,
    StageGroupOptions,
    StageOptions,
    excluded_fields,
    input_fields,
    input_names,
)
from bebertlab.interfaces.task import Task
from bebertlab.model.folder import TENSORS
from bebertlab.pipeline.identity import WatchedCodec, composition_identity, known_parts, stage_identity
from bebertlab.pipeline.recipe import STAGE, Stage
from bebertlab.store.fingerprint import file_digest, fingerprint
from bebertlab.testing.contract import ContractError, call, require
from bebertlab.testing.stage_options import changes, check_expansion, check_options
from bebertlab.testing.stage_runner import PreparedStage, StageInputs, StageRunner
from bebertlab.testing.tiny import tiny_task

_EPOCH = {"train": {"epochs": 1, "learning_rate": 1e-3}}
_TOLERANCE = 1e-5  #: of logits that are computed again
_SECONDS = "seconds"  #: end of the names of metrics that may differ between runs


def check_stage(
    stage: StageOptions | StageGroupOptions | str | Mapping[str, Any],
    runner: StageRunner,
    task: Task | None = None,
    **inputs: Artifact | tuple[Artifact, ...],
) -> Mapping[str, Artifact]:
    """Check a stage, or a group with all its stages, on a tiny task; one line in a plugin's tests.

        check_stage(MyStage(model="teacher"), StageRunner(tmp_path, kinds=[MyStage]))

    Inputs by field name are artifacts that the runner made; for those that are not given it trains tiny models. The
    stage is planned, and run three times. What must hold:

    - Options: they become plain data and the same options again; an option that is excluded from the key is a path;
      another value of any other option gives another key, unless `prepare` replaces it.
    - Planning: `prepare`, `composition` and `plan_model` return the same when asked again; they write no file and
      draw no random number.
    - Running: the stage reads only inputs that are declared with `stage_input`, leaves their folders alone, reports
      fractions from 0 to 1, loads and saves only parts that are in its key, and writes `metrics.json`, a flat mapping
      of names to finite numbers.
    - Repeatability: the same seed gives the same files, whatever the state of the global random generators; a stage
      that is `deterministic` gives the same files for another seed too. Metrics that end in "seconds" may differ.
    - A model that it writes can be read, has the spec, the sizes and the longest input that were planned, and gives
      the stored logits, whose metrics are the written ones.
    - A group: it expands to the same stages again, named "<group>.<something>", whose inputs exist; each of its
      options changes one of them.

    Returns:
        the artifacts of the stages by name

    Raises:
        ContractError: an AssertionError that says what does not hold.
    """
    task = task or tiny_task(examples=48)
    options: Stage = stage if isinstance(stage, Options) else runner.codec.load(stage, STAGE)
    check_options(options, runner.codec)
    stages = {options.kind: options} if isinstance(options, StageOptions) else check_expansion(options)
    known = _by_name(options, inputs)
    artifacts: dict[str, Artifact] = {}
    for name, single in stages.items():
        try:
            artifacts[name] = _check_single(single, runner, task, _inputs(single, runner, task, known))
        except ContractError as error:
            raise ContractError(f"{'' if single is options else f'{name}: '}{error}") from error.__cause__
        known[name] = (artifacts[name],)
    return artifacts


@frozen(kw_only=True, eq=False)
class _Case:
    """A stage under test with its inputs."""

    stage: StageOptions
    runner: StageRunner
    task: Task
    inputs: StageInputs

    def prepare(self, stage: StageOptions | None = None) -> PreparedStage:
        return self.runner.prepare(stage or self.stage, self.task, self.inputs)


def _check_single(stage: StageOptions, runner: StageRunner, task: Task, inputs: StageInputs) -> Artifact:
    case = _Case(stage=stage, runner=runner, task=task, inputs=inputs)
    check_options(stage, runner.codec)
    prepared = _check_planning(case)
    _check_key(case, prepared)
    with _global_generators(seed=0):
        artifact = _check_run(case, prepared, seed=0)
    _check_metrics(artifact)
    _check_repeats(case, prepared, artifact)
    if (artifact.folder / TENSORS).is_file():
        _check_model(case, prepared, artifact)
    return artifact


def _by_name(stage: Stage, inputs: Mapping[str, Artifact | tuple[Artifact, ...]]) -> dict[str, tuple[Artifact, ...]]:
    """The given artifacts by the names that the stage has for its inputs."""
    known: dict[str, tuple[Artifact, ...]] = {}
    named = input_names(stage)
    for field, value in inputs.items():
        artifacts = value if isinstance(value, tuple) else (value,)
        names = named.get(field, ())
        if len(names) == 1:
            known[names[0]] = artifacts  # the name of a group stands for several
            continue
        if len(names) != len(artifacts):
            raise ValueError(f"'{field}' names {len(names)} stages, and {len(artifacts)} artifacts are given")
        known |= {name: (artifact,) for name, artifact in zip(names, artifacts, strict=True)}
    return known


def _inputs(
    stage: StageOptions, runner: StageRunner, task: Task, known: dict[str, tuple[Artifact, ...]]
) -> StageInputs:
    """The artifacts that a stage reads; a tiny model is trained for every name that is not known."""
    inputs: dict[str, tuple[Artifact, ...]] = {}
    for field, names in input_names(stage).items():
        for name in names:
            if name not in known:
                known[name] = (runner.run({"kind": "finetune", "seed": _seed(name), **_EPOCH}, task, name=name),)
        inputs[field] = tuple(artifact for name in names for artifact in known[name])
    return inputs


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2], "big")


def _check_planning(case: _Case) -> PreparedStage:
    before, random_state = _files(case.runner), _random_state()
    prepared = call("planning", case.prepare)
    again = case.prepare()
    require(prepared.stage == again.stage, "prepare() returns another stage when asked again")
    require(prepared.composition == again.composition, "composition() returns something else when asked again")
    require(_described(prepared) == _described(again), "plan_model() returns another model when asked again")
    require(isinstance(prepared.stage, type(case.stage)), f"prepare() returns a {type(prepared.stage).__name__}")
    require(_files(case.runner) == before, "planning writes files; only run() may")
    require(_random_state() == random_state, "planning draws random numbers; only run() may")
    return prepared


def _described(prepared: PreparedStage) -> tuple[object, ...] | None:
    model = prepared.model
    return None if model is None else (model.tokenizer.key, model.maximum_tokens, model.architecture)


def _check_key(case: _Case, prepared: PreparedStage) -> None:
    """Another value of an option must not find the artifact of this one."""
    codec = case.runner.codec
    key = _key(prepared, codec)
    skipped = {"seed", *input_fields(type(case.stage)), *excluded_fields(type(case.stage))}
    for name, stage in changes(case.stage, skipped):
        try:
            changed = case.prepare(stage)
        except UserError:
            continue  # the value does not suit the inputs
        before, after = (_plain(getattr(other.stage, name), codec) for other in (prepared, changed))
        require(before == after or _key(changed, codec) != key, f"option '{name}' does not change the key")


def _plain(value: object, codec: OptionsCodec) -> str:
    return json.dumps(codec.dump(value), sort_keys=True)


def _key(prepared: PreparedStage, codec: OptionsCodec) -> str:
    return fingerprint(_parts(prepared, codec))


def _parts(prepared: PreparedStage, codec: OptionsCodec) -> dict[str, Any]:
    """What of a stage itself enters its key."""
    return {
        "stage": stage_identity(prepared.stage, codec),
        "made_of": composition_identity(prepared.stage, prepared.composition, codec),
    }


class _DeclaredArtifacts(dict[str, tuple[Artifact, ...]]):
    """Artifacts by field; asking for a field that is no input breaks the contract."""

    def __init__(self, artifacts: StageInputs, declared: Mapping[str, bool]) -> None:
        super().__init__(artifacts)
        self._declared = declared

    def __missing__(self, name: str) -> tuple[Artifact, ...]:
        self._check(name)
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as of a dictionary
        self._check(name)
        return super().get(name, default)

    def _check(self, name: str) -> None:
        require(name in self._declared, f"run() reads the input '{name}', which is not declared with stage_input()")


def _check_run(case: _Case, prepared: PreparedStage, *, seed: int) -> Artifact:
    runner, before = case.runner, _files(case.runner)
    stages = [prepared, *(runner.prepared(artifact) for artifacts in case.inputs.values() for artifact in artifacts)]
    known = known_parts(_parts(stage, runner.codec) for stage in stages)

    def receive(inputs: Inputs, context: Context) -> tuple[Inputs, Context]:
        declared = _DeclaredArtifacts(inputs.artifacts, input_fields(type(case.stage)))
        watched = evolve(context, codec=WatchedCodec(context.codec, known), progress=_check_progress)
        return Inputs(artifacts=declared), watched

    artifact = call("run()", lambda: runner.run_prepared(prepared, case.task, case.inputs, seed=seed, receive=receive))
    inside = f"{artifact.folder.name}/"
    after = {path: digest for path, digest in _files(runner).items() if not path.startswith(inside)}
    changed = [path for path, digest in after.items() if before.get(path) != digest]
    changed += [path for path in before if path not in after]
    require(not changed, f"run() changes {', '.join(changed)}; it may only write into context.folder")
    return artifact


def _check_progress(
    fraction: float,
    text: str,
    values: Mapping[str, float] = MappingProxyType({}),
    *,
    step: int | None = None,
    epoch: float | None = None,
) -> None:
    require(0.0 <= fraction <= 1.0, f"run() reports a progress of {fraction}, expected 0 to 1")
    odd = [name for name, value in values.items() if not math.isfinite(value)]
    require(not odd, f"run() reports values that are not finite: {', '.join(odd)}")


def _check_metrics(artifact: Artifact) -> None:
    path = artifact.folder / METRICS_FILE
    require(path.is_file(), f"run() writes no {METRICS_FILE}; use write_metrics or evaluate_and_save")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    require(isinstance(metrics, dict), f"{METRICS_FILE} holds a {type(metrics).__name__}, expected a mapping")
    for name, value in metrics.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        require(number, f"{METRICS_FILE} has {value!r} for '{name}', expected a finite number")


def _check_repeats(case: _Case, prepared: PreparedStage, artifact: Artifact) -> None:
    with _global_generators(seed=1):
        again = _check_run(case, prepared, seed=0)
    _check_same(artifact, again, "with the same seed; derive every draw from context.seed, and use no global generator")
    if prepared.stage.deterministic:
        other = _check_run(case, prepared, seed=1)
        _check_same(artifact, other, "with another seed; a stage that draws must not be deterministic")


def _check_same(first: Artifact, second: Artifact, when: str) -> None:
    before, after = _contents(first.folder), _contents(second.folder)
    different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    require(not different, f"run() writes another {', '.join(different)} {when}")


def _check_model(case: _Case, prepared: PreparedStage, artifact: Artifact) -> None:
    context, task = case.runner.context(case.task), case.task
    require(has_tokenizer(artifact.folder), "run() writes a model without its tokenizer; use evaluate_and_save")
    require((artifact.folder / LOGITS_FILE).is_file(), "run() writes a model without its logits; use evaluate_and_save")
    model = call("reading the model", lambda: read_model(artifact, context))
    if prepared.composition is not None:
        require(
            prepared.spec is not None and _quantizers(prepared.spec) == _quantizers(model.spec),
            "composition() names other quantizers than those of the model that run() writes",
        )
    if prepared.model is not None:
        _check_planned(prepared.model, model.architecture, input_length(artifact.folder, context))
    stored = read_logits(artifact, task)
    for split, logits in stored.items():
        again = predict_split(model, split, artifact.folder, context).numpy()
        difference = float(np.abs(again - logits).max())
        require(difference <= _TOLERANCE, f"the stored model gives other logits on {split}, by up to {difference:.2g}")
    metrics = read_metrics(artifact.folder)
    for name, value in score_metrics(stored, task).items():
        require(name in metrics, f"the metric {name} of the model is missing; use evaluate_and_save")
        require(abs(metrics[name] - value) <= _TOLERANCE, f"{name} is {metrics[name]}, the stored logits have {value}")


def _quantizers(spec: QuantSpec) -> QuantSpec:
    """The part of a spec that plans know: schemes and splitters may leave out branch counts and the activation."""
    return evolve(spec, branches={}, activation=None)


def _check_planned(planned: PlannedModel, architecture: Architecture, length: int) -> None:
    require(
        planned.maximum_tokens == length,
        f"plan_model() says that the model reads up to {planned.maximum_tokens} tokens, it reads {length}",
    )
    if planned.architecture is not None:
        sizes = evolve(planned.architecture, vocabulary=architecture.vocabulary)
        require(sizes == architecture, f"plan_model() says that the model has {sizes}, it has {architecture}")


def _contents(folder: Path) -> dict[str, object]:
    """What each file holds; of metrics without those that measure time."""
    contents: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            contents[path.relative_to(folder).as_posix()] = path.read_bytes()
    metrics = read_metrics(folder)
    contents[METRICS_FILE] = {name: value for name, value in metrics.items() if not name.endswith(_SECONDS)}
    return contents


def _files(runner: StageRunner) -> dict[str, str]:
    """The sha256 of every file below the folder of the runner."""
    paths = (path for path in sorted(runner.root.rglob("*")) if path.is_file())
    return {path.relative_to(runner.root).as_posix(): file_digest(path) for path in paths}


@contextmanager
def _global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators within, which no stage may read."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _random_state() -> tuple[object, ...]:
    _, keys, position, *_ = np.random.get_state()
    return random.getstate(), np.asarray(keys).tobytes(), position, torch.get_rng_state().numpy().tobytes()
