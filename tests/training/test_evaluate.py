import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from tasks.training.evaluate import evaluate

ORDER = ("c", "a", "b")
pairs = st.lists(st.tuples(st.sampled_from(ORDER), st.sampled_from(ORDER)), min_size=1, max_size=40)


@given(pairs)
def test_agrees_with_sklearn_on_the_labels_that_are_tested(rows):
    labels, predicted = zip(*rows, strict=True)
    found = evaluate(labels, predicted, ORDER)
    present = sorted(set(labels))
    expected = f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(expected)
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))


@given(pairs)
def test_counts_add_up_in_the_task_s_order(rows):
    labels, predicted = zip(*rows, strict=True)
    found = evaluate(labels, predicted, ORDER)
    assert tuple(found.per_label) == ORDER
    confusion = np.array(found.confusion)
    assert [score["support"] for score in found.per_label.values()] == confusion.sum(1).tolist()
    assert confusion.trace() / confusion.sum() == pytest.approx(found.accuracy)


def test_a_label_that_is_never_predicted_scores_zero_not_nan():
    found = evaluate(["a", "b"], ["a", "a"], ("a", "b"))
    assert found.per_label["b"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_an_empty_test_set_is_refused():
    with pytest.raises(ValueError, match="no test rows"):
        evaluate([], [], ("a", "b"))
