"""How many members bags share, held against counting them one by one."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.generation.overlap import Overlap

BAGS = st.lists(st.text("abcd", max_size=8), max_size=6)


@given(BAGS, st.text("abcde", max_size=8))
@settings(deadline=None)
def test_shared_members_are_those_of_the_common_multiset(bags, bag):
    index = Overlap(bags)
    assert index.sizes.tolist() == [len(other) for other in bags]
    assert index.shared(bag).tolist() == [(Counter(bag) & Counter(other)).total() for other in bags]
