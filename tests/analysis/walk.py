"""Every number in a record, however deep, so that tests can see that none is NaN or infinite."""

import dataclasses
import math


def numbers(value):
    """All ints and floats inside records, mappings and sequences."""
    if dataclasses.is_dataclass(value):
        return [n for field in dataclasses.fields(value) for n in numbers(getattr(value, field.name))]
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    if isinstance(value, list | tuple):
        return [n for item in value for n in numbers(item)]
    return [value] if isinstance(value, int | float) else []


def assert_finite(value):
    """Fails where a number is NaN or infinite, and where there is none at all."""
    found = numbers(value)
    assert found
    assert all(math.isfinite(number) for number in found)
