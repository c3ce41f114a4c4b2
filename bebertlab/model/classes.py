"""Names of classes in a config.json, and the order of a classifier's outputs that follows from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.files import read_json
from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.model.parameter_names import CLASSIFIER_BIAS, CLASSIFIER_WEIGHT

_NUMBERED = re.compile(r"(?:(?:label|class)[\s_-]*|([+-]?))(\d{1,9})(?:\.0*)?")
_OUTPUT = re.compile(r"[+-]?\d{1,9}")
_SIGNED = re.compile(r"[+-]?[\d.]+")
_LISTED = 20  #: the most names in a message; further ones are counted

_Pairs = list[tuple[int, str]]  #: outputs and their names


def read_class_names(path: Path, outputs: int) -> tuple[str, ...] | None:
    """`class_names` of a config.json.

    Raises:
        SetupError: the file is not there.
        UserError: as `class_names`; names the file.
    """
    config = read_json(path)
    try:
        return class_names(config, outputs)
    except UserError as error:
        raise type(error)(f"{path}: {error}") from error


def class_names(config: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    """The names of a classifier's outputs in their order, by `id2label` and `label2id`; None where there are none.

    The one output of a regression has no class.
    Where one of the two only numbers the outputs and the other one names them, the names are returned. Where both only
    number them, the numbers are returned as they are; `output_order` does not treat them as names.

    >>> class_names({"id2label": {"1": "yes", "0": "no"}}, 2)
    ('no', 'yes')
    >>> class_names({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"no": 1, "yes": 0}}, 2)
    ('yes', 'no')
    >>> class_names({}, 2) is None
    True

    Raises:
        UserError: they contradict each other, do not name exactly the outputs of the classifier, or are malformed.
    """
    if outputs == 1:
        return None
    by_output = _pairs("id2label", config.get("id2label"), key_is_name=False)
    by_name = _pairs("label2id", config.get("label2id"), key_is_name=True)
    if only_numbers(_names(by_output)) and only_numbers(_names(by_name)):
        return _numbers(by_output, by_name, outputs)
    if only_numbers(_names(by_output)):
        return _complete("label2id", by_name, outputs)
    names = _complete("id2label", by_output, outputs)
    if not only_numbers(_names(by_name)) and not _agree(names, by_name):
        raise UserError(f"id2label and label2id contradict each other: {_quoted(by_output)}; {_quoted(by_name)}")
    return names


def check_problem(config: Mapping[str, Any], outputs: int) -> None:
    """Check that a model is a regression, or that each text has one of its classes.

    Raises:
        UserError: `problem_type` of its config.json says otherwise.
    """
    expected = "regression" if outputs == 1 else "single_label_classification"
    if (problem := config.get("problem_type")) not in (None, expected):
        raise UserError(
            f"problem_type is '{problem}'; expected '{expected}' of a model with {outputs} output"
            + ("" if outputs == 1 else "s")
        )


def output_order(names: Sequence[str] | None, classes: Sequence[str]) -> tuple[int, ...] | None:
    """For each class of a task the output that has its name; None where the names are only numbers or missing.

    Upper and lower case, `-`, `_` and spaces make no difference unless classes differ in nothing else.

    >>> output_order(["ENTAILMENT", "Not Entailment"], ["not_entailment", "entailment"])
    (1, 0)
    >>> output_order(["LABEL_0", "LABEL_1"], ["no", "yes"]) is None
    True

    Raises:
        UserError: the names are not those of the classes.
    """
    if names is None:
        return None
    for form in (str, _plain):
        given, expected = [form(name) for name in names], [form(name) for name in classes]
        if len(set(given)) == len(given) and sorted(given) == sorted(expected):
            return tuple(given.index(name) for name in expected)
    numbers = [number for name in names if (number := _number(name)) is not None]
    numbered = len(numbers) == len(names) == len(classes) and numbers == sorted(set(numbers))
    if numbered and not contradicts(names, classes):
        return None
    raise UserError(f"the outputs are named {listed(names)}; the classes of the task are {listed(classes)}")


def only_numbers(names: Sequence[str]) -> bool:
    """Whether each name is only a number, such as `LABEL_1`, `class 1` or `1`."""
    return all(_number(name) is not None for name in names)


def contradicts(names: Sequence[str], by_output: Sequence[str]) -> bool:
    """Whether one of the names is that of a class at another position in `by_output`, the classes by output.

    >>> contradicts(["NEG", "pos"], ["negative", "positive"])
    False
    >>> contradicts(["Positive", "NEG"], ["negative", "positive"])
    True
    """
    form = str if set(names) <= set(by_output) else _plain
    known = {form(name) for name in by_output}
    return any(form(name) in known and form(name) != form(own) for name, own in zip(names, by_output, strict=True))


def listed(names: Sequence[str]) -> str:
    """Names in a message.

    >>> listed(["no", "yes"])
    'no, yes'
    """
    more = len(names) - _LISTED
    shown = [name if name.isprintable() else repr(name) for name in names[:_LISTED]]
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def reorder_outputs(checkpoint: Checkpoint, order: Sequence[int]) -> Checkpoint:
    """The same classifier with output `order[k]` at position k; the other tensors are shared with the given one."""
    changed = {name: checkpoint.tensors[name][list(order)] for name in (CLASSIFIER_WEIGHT, CLASSIFIER_BIAS)}
    return evolve(checkpoint, tensors={**checkpoint.tensors, **changed})


def _pairs(field: str, data: object, *, key_is_name: bool) -> _Pairs:
    """The content of one of the two fields, in the order of the outputs."""
    if data is None:
        return []
    if not isinstance(data, Mapping):
        raise UserError(f"{field} is of type {type(data).__name__}; expected an object")
    items = [(value, key) if key_is_name else (key, value) for key, value in data.items()]
    return sorted((_output(field, output), _name(field, name)) for output, name in items)


def _output(field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not _OUTPUT.fullmatch(str(value).strip()):
        raise UserError(f"{field} has {value!r} where the number of an output is expected")
    return int(value)


def _name(field: str, value: object) -> str:
    if not isinstance(value, str | int | float):
        raise UserError(f"{field} has {value!r} where the name of a class is expected")
    return str(value)


def _numbers(by_output: _Pairs, by_name: _Pairs, outputs: int) -> tuple[str, ...] | None:
    """Names that are only numbers; None where their number is not that of the outputs, as then they mean nothing."""
    complete = [pairs for pairs in (by_output, by_name) if [output for output, _ in pairs] == list(range(outputs))]
    if len({tuple(_number(name) for _, name in pairs) for pairs in complete}) > 1:
        raise UserError(f"id2label and label2id contradict each other: {_quoted(by_output)}; {_quoted(by_name)}")
    return _names(complete[0]) if complete else None


def _complete(field: str, pairs: _Pairs, outputs: int) -> tuple[str, ...]:
    """The names, of which each output must have one."""
    if [output for output, _ in pairs] != list(range(outputs)):
        raise UserError(f"{field} ({_quoted(pairs)}) must name each of the outputs 0 to {outputs - 1} once")
    return _names(pairs)


def _agree(names: Sequence[str], by_name: _Pairs) -> bool:
    """Whether `label2id` gives these names their outputs; it may have further names for the same outputs."""
    for form in (str, _plain):
        outputs: dict[str, set[int]] = {}
        for output, name in by_name:
            outputs.setdefault(form(name), set()).add(output)
        if all(outputs.get(form(name)) == {output} for output, name in enumerate(names)):
            return True
    return False


def _names(pairs: _Pairs) -> tuple[str, ...]:
    return tuple(name for _, name in pairs)


def _number(name: str) -> int | None:
    """The number that a name consists of, such as 1 for `LABEL_1`, `class 1`, `1` and `1.0`."""
    match = _NUMBERED.fullmatch(_folded(name))
    return int(f"{match[1] or ''}{match[2]}") if match else None


def _plain(name: str) -> str:
    """A name without case, spaces, `-` and `_`; the sign of a number stays."""
    folded = _folded(name)
    return folded if _SIGNED.fullmatch(folded) else re.sub(r"[\s_-]+", "", folded) or folded


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()


def _quoted(pairs: _Pairs) -> str:
    return listed([f"{output} is {name}" for output, name in pairs])
