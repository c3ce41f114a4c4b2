"""Names of tensors: what wrappers put into them, and what a message says of names that do not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from bebertlab.errors import UserError

T = TypeVar("T")

#: what wrappers insert anywhere in a name: DataParallel and DDP, torch.compile, FSDP, DeepSpeed, checkpointing
_INSERTED = {
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_fpw_module",
    "_forward_module",
    "_checkpoint_wrapped_module",
}
#: what the module of a training script calls the model that is the only thing in it
_OUTER = {"model", "net", "network"}
_BODY = "bert"
_COUNTER = "n_averaged"  #: of torch's AveragedModel: how many models its tensors are the mean of
_LISTED = 5


def unwrapped(tensors: Mapping[str, T]) -> dict[str, T]:
    """Tensors under the names that they have without wrappers around the model or around modules in it.

    >>> list(unwrapped({"module.model._orig_mod.bert.pooler.dense.bias": 0, "module.model.classifier.bias": 1}))
    ['bert.pooler.dense.bias', 'classifier.bias']

    Raises:
        UserError: two tensors would have the same name.
    """
    names = {name: [word for word in name.split(".") if word not in _INSERTED] for name in tensors}
    names = {name: words for name, words in names.items() if words[-1:] != [_COUNTER]}
    while _is_wrapped(names.values()):
        names = {name: words[1:] for name, words in names.items()}
    return renamed(tensors, {name: ".".join(words) for name, words in names.items()})


def renamed(tensors: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """The tensors that `names` has, under its names for them.

    Raises:
        UserError: two tensors would have the same name.
    """
    before: dict[str, str] = {}
    for old, new in names.items():
        if new in before:
            raise UserError(f"{before[new]} and {old} are both called {new}; save only the one that is meant")
        before[new] = old
    return {new: tensors[old] for new, old in before.items()}


def describe_names(names: Collection[str]) -> str:
    """What names there are, for a message that says which one is missing.

    >>> describe_names(["student.bert.a", "student.classifier.b"])
    'all names begin with student.'
    >>> describe_names(["bert.a", "bert.b", "qa_outputs.bias"])
    'names begin with bert., qa_outputs.'
    """
    starts = sorted({f"{name.partition('.')[0]}." if "." in name else name for name in names})
    if not starts:
        return "there are no tensors"
    if len(starts) == 1:
        return f"all names begin with {starts[0]}"
    rest = len(starts) - _LISTED
    return f"names begin with {', '.join(starts[:_LISTED])}" + (f" and {rest} others" if rest > 0 else "")


def _is_wrapped(names: Collection[list[str]]) -> bool:
    first = {words[0] for words in names if len(words) > 1}
    if len(first) != 1 or any(len(words) == 1 for words in names):
        return False
    # a script may call its classifier `bert`, and then everything has that name twice, or before the classifier's
    return first <= _OUTER or (first == {_BODY} and any(words[1] == _BODY for words in names))
