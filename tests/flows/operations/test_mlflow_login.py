"""Which requests MLflow's server refuses because another web page made them."""

import pytest

from flows.operations.mlflow_login import of_another_page

HERE = {"Host": "127.0.0.1:5000"}


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),  # a program
        ({"Origin": "http://127.0.0.1:5000", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, False),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, False),  # a link on Prefect's page
        ({"Origin": "http://127.0.0.1:4200", "Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://127.0.0.1:4200", "Sec-Fetch-Mode": "navigate"}, True),  # a form
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, True),
    ],
)
def test_mlflow_is_for_its_own_pages_and_for_programs(headers: dict[str, str], refused: bool) -> None:
    assert of_another_page({**HERE, **headers}) is refused


def test_a_reverse_proxy_may_have_an_origin_of_its_own() -> None:
    sent = {**HERE, "Origin": "https://mlflow.example", "Sec-Fetch-Site": "same-origin"}
    assert of_another_page(sent) and not of_another_page(sent, "https://other.example, https://mlflow.example")
    assert not of_another_page({**sent, "Sec-Fetch-Site": "cross-site"}, "https://mlflow.example")
