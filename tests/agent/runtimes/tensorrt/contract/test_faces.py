"""The faces have what the runtime uses, with the same arguments, and nothing that their version has not."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from .. import faces
from .used import METHODS, USED, Name

VERSIONS = pytest.mark.parametrize("version", faces.VERSIONS)


def resolve(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module


def there(module: Any, name: Name) -> bool:
    """An attribute that a class gives its objects when they are made counts by its annotation."""
    owner, _, attribute = name.path.rpartition(".")
    found = resolve(module, owner) if owner else module
    return hasattr(found, attribute) or attribute in getattr(found, "__annotations__", {})


@VERSIONS
def test_a_face_has_every_name_of_its_version_and_no_other(version: str) -> None:
    module = faces.face(version, faces.World())
    numbers = faces.VERSIONS[version]
    wrong = [name.path for name in USED if there(module, name) is not name.is_in(numbers)]
    assert not wrong


@VERSIONS
def test_arguments_are_called_and_ordered_as_in_the_bindings(version: str) -> None:
    module = faces.face(version, faces.World())
    called = [name for name in METHODS if name.arguments and name.is_in(faces.VERSIONS[version])]
    assert len(called) > 20
    for name in called:
        has = [each for each in inspect.signature(resolve(module, name.path)).parameters if each != "self"]
        assert tuple(has[: len(name.arguments)]) == name.arguments, name.path
