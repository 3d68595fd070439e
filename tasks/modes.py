"""What results need to know about each mode and each untrained arm, in one place.

Modes are defined in ``generation.modes``, untrained arms in ``labelling.untrained``. Both definitions name the rows for
training and the real rows for the comparison.
"""

import functools

from tasks.errors import UserError
from tasks.generation.modes import MODES, find_mode, real, real_full
from tasks.labelling.untrained import UNTRAINED
from tasks.records import ModeFacts

MATCHED_REAL = real.MODE.name
"""The real arm with as many rows of each label as the generated sets. Gaps compare with it."""
REFERENCE = real_full.MODE.name
"""The real arm with ``reference_rows`` rows in their natural label shares."""
NAMES = (*MODES, *UNTRAINED)
"""All names without parameters."""


def own_name(spelling: str) -> str:
    """The name of a mode, without default parameters; the spelling itself if this version does not know the mode."""
    try:
        return find_mode(spelling).name
    except UserError:
        return spelling


@functools.cache
def mode_facts(name: str) -> ModeFacts:
    """The facts of a mode or an untrained arm.

    Results of another version may have an unknown mode. It counts as a mode of generated rows.
    """
    if name in UNTRAINED:
        return UNTRAINED[name].facts
    try:
        return find_mode(name).facts
    except UserError:
        return ModeFacts(name.replace("_", "-"), frozenset({"generated"}), "real rows of the same size", name)
