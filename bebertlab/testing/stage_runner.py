"""Stages run one by one on a tiny task: planned as in a recipe, without a recipe and a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Checkpoint, QuantSpec
from bebertlab.interfaces.encoder import EncoderOptions
from bebertlab.interfaces.options import Options
from bebertlab.interfaces.roles import ROLES
from bebertlab.interfaces.stage import (
    Artifact,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    Planning,
    StageOptions,
    ignore_progress,
    input_names,
)
from bebertlab.interfaces.task import Task
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.registry.manager import load_plugins
from bebertlab.registry.registry import PluginSource
from bebertlab.testing.tiny import tiny_model, tiny_task, tiny_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

StageInputs = Mapping[str, tuple[Artifact, ...]]


@frozen(kw_only=True, eq=False)
class PreparedStage:
    """A stage as a plan knows it."""

    stage: StageOptions  #: what `prepare` returned
    composition: Composition | None
    model: PlannedModel | None  #: what `plan_model` returned

    @property
    def spec(self) -> QuantSpec | None:
        """The quantization of the model that the stage writes, where that is known."""
        return self.composition.spec if self.composition else None


class StageRunner:
    """Runs stages on the tiny task, each into another folder.

    A stage is options, a kind, or plain data as in YAML; its inputs are artifacts by field name, which other stages of
    the same runner left:

        runner = StageRunner(tmp_path, kinds=[MyStage])
        teacher = runner.run("finetune")
        mine = runner.run({"kind": "my-stage", "model": "teacher"}, model=teacher)
        assert read_metrics(mine.folder)["validation/score"] > 50
    """

    def __init__(self, root: Path, codec: OptionsCodec | None = None, *, kinds: Iterable[type[Options]] = ()) -> None:
        """`root`: folder for the artifacts; `codec`: knows the options, by default those of the installed plugins.

        `kinds`: options classes to test that no installed plugin registers.
        """
        self.codec = _codec(kinds) if codec is None else codec
        self.warnings: list[str] = []  #: what the stages warned of
        self.root = root  #: folder of the artifacts
        self._count = 0
        self._tasks = TaskCache(self.codec)
        self._prepared: dict[str, PreparedStage] = {}  # by the key of the artifact

    def context(self, task: Task | None = None, *, seed: int = 0, name: str = "stage") -> Context:
        """What a stage receives, with an empty folder; the tiny task by default."""
        self._count += 1
        folder = self.root / str(self._count)
        folder.mkdir(parents=True)
        return Context(
            stage=name,
            folder=folder,
            seed=seed,
            task=task or tiny_task(),
            encoder=TinyTestEncoder(),
            codec=self.codec,
            progress=ignore_progress,
            warn=self.warnings.append,
        )

    def run(
        self,
        stage: StageOptions | str | Mapping[str, Any],
        task: Task | None = None,
        *,
        seed: int = 0,
        name: str = "stage",
        prepare: bool = True,
        **inputs: Artifact | tuple[Artifact, ...],
    ) -> Artifact:
        """The artifact of a stage; `inputs` by field name, several artifacts for a field that names several stages.

        The stage is prepared first, as in a plan, unless an input is an artifact that this runner did not make, or
        `prepare` is False. It runs with `seed`, unless its options set another one.
        """
        task = task or tiny_task()
        given = {field: value if isinstance(value, tuple) else (value,) for field, value in inputs.items()}
        options = self.options(stage)
        known = all(artifact.key in self._prepared for artifacts in given.values() for artifact in artifacts)
        prepared = self.prepare(options, task, given) if prepare and known else None
        seed = seed if options.seed is None else options.seed
        return self.run_prepared(options if prepared is None else prepared, task, given, seed=seed, name=name)

    def options(self, stage: StageOptions | str | Mapping[str, Any]) -> StageOptions:
        """The options of a stage, a kind or plain data.

        Raises:
            UserError: no plugin has such a stage, or an option is wrong.
        """
        if isinstance(stage, StageOptions):
            return stage
        return self.codec.load(stage, StageOptions)  # type: ignore[type-abstract]

    def prepare(self, stage: StageOptions, task: Task, inputs: StageInputs) -> PreparedStage:
        """Plan a stage whose inputs are artifacts of this runner.

        Raises:
            UserError: the stage cannot run like this.
        """
        before = {
            field: tuple(self.prepared(artifact) for artifact in artifacts) for field, artifacts in inputs.items()
        }
        stages = {field: tuple(known.stage for known in several) for field, several in before.items()}
        specs = {field: tuple(known.spec for known in several) for field, several in before.items()}
        models = {field: tuple(known.model for known in several) for field, several in before.items()}
        encoder = TinyTestEncoder()
        planning = Planning(task=task, codec=self.codec, encoder=lambda: self._tasks.encoder_model(encoder, task))
        prepared = stage.prepare(stages, task, self.codec)
        read = input_names(prepared).keys()  # without the inputs that prepare() dropped
        return PreparedStage(
            stage=prepared,
            composition=prepared.composition({field: specs[field] for field in specs.keys() & read}, self.codec),
            model=prepared.plan_model({field: models[field] for field in models.keys() & read}, planning),
        )

    def prepared(self, artifact: Artifact) -> PreparedStage:
        """The stage that left an artifact.

        Raises:
            UserError: it was not prepared and run by this runner.
        """
        if artifact.key not in self._prepared:
            raise UserError(f"the artifact of {artifact.stage} in {artifact.folder} was not made by this runner")
        return self._prepared[artifact.key]

    def run_prepared(
        self,
        stage: StageOptions | PreparedStage,
        task: Task,
        inputs: StageInputs,
        *,
        seed: int = 0,
        name: str = "stage",
        receive: Callable[[Inputs, Context], tuple[Inputs, Context]] = lambda inputs, context: (inputs, context),
    ) -> Artifact:
        """Run a stage that is prepared; `receive` may replace what it is given.

        Inputs that the prepared stage does not name any more are left out.
        """
        prepared = stage if isinstance(stage, PreparedStage) else None
        options = stage.stage if isinstance(stage, PreparedStage) else stage
        read = inputs.keys() if prepared is None else inputs.keys() & input_names(options).keys()
        context = self.context(task, seed=seed, name=name)
        options.run(*receive(Inputs(artifacts={field: inputs[field] for field in inputs if field in read}), context))
        artifact = Artifact(stage=name, key=str(context.folder), folder=context.folder, seconds=0.0)
        if prepared is not None:
            self._prepared[artifact.key] = prepared
        return artifact


def _codec(kinds: Iterable[type[Options]]) -> OptionsCodec:
    registry = load_plugins().registry
    bases = {role.name: role.options for role in ROLES}
    return OptionsCodec(registry.extended([(bases[kind.role], kind) for kind in kinds], PluginSource(plugin="tests")))


@frozen(kw_only=True)
class TinyTestEncoder(EncoderOptions):
    """The model and the tokenizer of the tiny task, without transformers."""

    kind = "tiny-test"
    maximum_tokens: int = field(default=32)

    def digest(self) -> str:
        """Empty: its weights depend on the seed alone."""
        return ""

    def tokenizer(self, texts: Iterable[str]) -> PreTrainedTokenizerBase:
        """As much of a tokenizer as stages use."""
        tokenizer: Any = _Tokenizer()
        return tokenizer

    def checkpoint(self, vocabulary: int, classes: int, seed: int) -> Checkpoint:
        """Random weights."""
        return tiny_model(_task(classes), seed=seed).checkpoint()


def _task(classes: int) -> Task:
    """The tiny task with another number of classes."""
    task = tiny_task(regression=classes == 1)
    return task if task.outputs == classes else evolve(task, classes=tuple(map(str, range(classes))))


class _Tokenizer:
    def __len__(self) -> int:
        return tiny_model(tiny_task()).architecture.vocabulary

    def save_pretrained(self, folder: Path) -> None:
        tiny_tokenizer(folder)
        (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
