from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

from bebertlab import api, interfaces

TOPICS = [importlib.import_module(f"bebertlab.api.{module.name}") for module in pkgutil.iter_modules(api.__path__)]


def test_every_name_of_the_api_is_in_exactly_one_topic() -> None:
    assert sorted(api.__all__) == sorted(name for topic in TOPICS for name in topic.__all__)
    assert sorted(set(api.__all__)) == sorted(api.__all__)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.__name__.rpartition(".")[2])
def test_a_name_is_the_same_object_in_the_package_and_in_its_topic(topic: ModuleType) -> None:
    assert [name for name in topic.__all__ if getattr(api, name) is not getattr(topic, name)] == []


def test_every_name_that_a_topic_imports_is_offered() -> None:
    forgotten = {f"{topic.__name__}.{name}" for topic in TOPICS for name in vars(topic).keys() - set(topic.__all__)}
    assert not {name for name in forgotten if "__" not in name and not name.endswith(".annotations")}


def test_every_class_of_the_interfaces_is_offered() -> None:
    modules = [
        importlib.import_module(f"bebertlab.interfaces.{m.name}") for m in pkgutil.iter_modules(interfaces.__path__)
    ]
    defined = {
        name
        for module in modules
        for name, item in vars(module).items()
        if inspect.isclass(item) and item.__module__ == module.__name__ and not name.startswith("_")
    }
    assert defined <= set(api.__all__)
