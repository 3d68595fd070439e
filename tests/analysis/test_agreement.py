import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.analysis.subjectivity.agreement import (
    count_votes,
    fleiss_kappa,
    krippendorff_alpha,
    rater_agreement,
    vote_agreement,
)
from tasks.records import Example, Rating
from tasks.training.trial import item_key


def ratings(rows):
    """``["aab", "ab"]``: the votes on each item, a letter a rater; a dot is no vote."""
    return [
        Rating(f"i{i}", f"r{k}", label) for i, row in enumerate(rows) for k, label in enumerate(row) if label != "."
    ]


many = st.lists(st.text("abc.", min_size=2, max_size=6), min_size=1, max_size=12)


def test_agreement_is_the_share_of_the_most_frequent_label():
    votes = count_votes(ratings(["aaa", "aab", "abc", "ab.", "a.."]))
    assert vote_agreement(votes) == pytest.approx({"i0": 1, "i1": 2 / 3, "i2": 1 / 3, "i3": 1 / 2})


def test_a_rater_has_one_vote_on_an_item():
    twice = [Rating("i", "r", "a"), Rating("i", "r", "b"), Rating("i", "s", "b")]
    assert count_votes(twice) == {"i": {"b": 2}}


@given(many)
def test_agreement_lies_between_one_over_k_and_one(rows):
    votes = count_votes(ratings(rows))
    found = vote_agreement(votes)
    assert set(found) == {f"i{i}" for i, row in enumerate(rows) if len(row.replace(".", "")) >= 2}
    assert all(1 / sum(votes[item].values()) <= share <= 1 for item, share in found.items())


@given(many, st.integers(0, 100))
def test_the_order_of_raters_and_items_does_not_count(rows, seed):
    shuffled = ratings(rows)
    random.Random(seed).shuffle(shuffled)
    one, other = count_votes(ratings(rows)), count_votes(shuffled)
    assert one == other
    assert (krippendorff_alpha(one), fleiss_kappa(one)) == (krippendorff_alpha(other), fleiss_kappa(other))


@given(many)
def test_reliability_is_a_number_or_nothing(rows):
    votes = count_votes(ratings(rows))
    labels = {label for counts in votes.values() for label in counts}
    alpha, (kappa, left_out) = krippendorff_alpha(votes), fleiss_kappa(votes)
    assert (alpha is None) == (len(labels) < 2)
    assert alpha is None or -1 <= alpha <= 1
    assert kappa is None or -1 <= kappa <= 1
    assert 0 <= left_out <= max(0, len(votes) - 1)


def test_alpha_of_krippendorff_s_own_example():
    # Computing Krippendorff's Alpha-Reliability (2011), example C: nominal, four observers, missing votes
    rows = ["11.1", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", ".555", "..11", ".3.."]
    letters = [row.translate(str.maketrans("12345", "abcde")) for row in rows]
    assert krippendorff_alpha(count_votes(ratings(letters))) == pytest.approx(0.743, abs=5e-4)


def test_kappa_by_hand():
    # agreement (1 + 1 + 1/3 + 1/3) / 4 = 2/3; both labels half of the time: chance 1/2; (2/3 - 1/2) / (1/2)
    assert fleiss_kappa(count_votes(ratings(["aaa", "bbb", "aab", "abb"]))) == (pytest.approx(1 / 3), 0)


def test_kappa_leaves_out_items_with_other_numbers_of_votes():
    whole = ["aaa", "bbb", "aab", "abb"]
    assert fleiss_kappa(count_votes(ratings([*whole, "ab.", "bb."]))) == (pytest.approx(1 / 3), 2)


def test_of_two_equally_frequent_numbers_of_votes_the_larger_counts():
    assert fleiss_kappa(count_votes(ratings(["ab.", "aab"]))) == (pytest.approx(-0.5), 1)


def test_votes_that_say_nothing_give_nothing():
    for rows in (["a", "b"], ["aaa", "aa."], []):
        votes = count_votes(ratings(rows))
        assert krippendorff_alpha(votes) is None
        assert fleiss_kappa(votes)[0] is None


def test_raters_who_guess_have_an_alpha_of_chance():
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("ab"), 5)) for _ in range(2000)]
    votes = count_votes(ratings(rows))
    assert abs(krippendorff_alpha(votes)) < 0.03
    assert abs(fleiss_kappa(votes)[0]) < 0.03


def test_the_data_s_own_raters():
    rows = [Example("one", "a", 0.5), Example("two", "b", None)]
    assert rater_agreement(rows) == {item_key("one"): 0.5}
