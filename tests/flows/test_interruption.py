"""A signal ends a study wherever it is met."""

import pytest
from prefect.exceptions import TerminationSignal
from pydantic import BaseModel, model_serializer

from flows.interruption import ending_at_once
from tasks.settings import Settings
from tasks.tracking.runs import StudyRun


class Told(BaseModel):
    @model_serializer(mode="plain")
    def meet(self) -> str:
        raise TerminationSignal(15)


RUN = StudyRun("experiment", "run")


def test_a_signal_that_a_library_wraps_is_a_signal_all_the_same(tmp_path) -> None:
    with pytest.raises(TerminationSignal), ending_at_once(RUN, Settings(home=tmp_path)):
        Told().model_dump()


@pytest.mark.parametrize("error", [TerminationSignal(15), KeyboardInterrupt(), ValueError("a defect")])
def test_what_is_raised_stays_what_it_is(error: BaseException, tmp_path) -> None:
    with pytest.raises(type(error)) as raised, ending_at_once(RUN, Settings(home=tmp_path)):
        raise error
    assert raised.value is error
