"""What results need to know of each mode and of each untrained arm: one table over the two rooms that define them.

Both give a cell of the grid its name. A mode says in its own file which rows it trains on and which real arm it is
compared to; ``labelling.untrained`` says so of the arms that train on nothing.
"""

import functools

from tasks.errors import UserError
from tasks.generation.modes import MODES, find_mode, real, real_full
from tasks.labelling.untrained import UNTRAINED
from tasks.records import ModeFacts

MATCHED_REAL = real.MODE.name
"""The real arm that has as many rows of each label as the generated sets: gaps are measured to it."""
REFERENCE = real_full.MODE.name
"""The real arm of the study's ``reference_rows``, in their natural label shares."""
NAMES = (*MODES, *UNTRAINED)
"""All names without parameters."""


def own_name(spelling: str) -> str:
    """A mode's name, which leaves defaults out; the spelling of a mode that this version does not know."""
    try:
        return find_mode(spelling).name
    except UserError:
        return spelling


@functools.cache
def mode_facts(name: str) -> ModeFacts:
    """The facts of a mode or an untrained arm.

    Results of another version may have a mode that this one lacks: it counts as one of generated rows.
    """
    if name in UNTRAINED:
        return UNTRAINED[name].facts
    try:
        return find_mode(name).facts
    except UserError:
        return ModeFacts(name.replace("_", "-"), frozenset({"generated"}), "real rows of the same size", name)
