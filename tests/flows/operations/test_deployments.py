"""Deployments: the entries of study and watch files, and prefect.yaml."""

import json
from pathlib import Path
from typing import Any

import pytest
from prefect.deployments.runner import RunnerDeployment
from prefect.utilities.schema_tools import validate

from flows.deployed import study
from flows.operations import deployments
from flows.operations.deployments import study_deployment, study_deployments, watch_deployment
from flows.operations.registration import offer_modes
from tasks.data.catalog import CATALOG
from tasks.errors import UserError
from tasks.settings import Settings


def write(folder: Path, name: str = "mine", **change: Any) -> Path:
    config = {
        "name": name,
        "tasks": ["./tickets.yaml", "sms_spam"],
        "modes": ["real", "few_shot"],
        "generators": ["openai/m", "embedded/smollm2-135m-instruct"],
        **change,
    }
    (folder / "tickets.yaml").write_text((CATALOG / "sms_spam.yaml").read_text().replace("sms_spam", "tickets"))
    path = folder / f"{name}.yaml"
    path.write_text(f"# First line,\n# second line.\n{json.dumps(config)}")
    return path


def test_a_deployment_is_described_by_the_comment_that_its_file_begins_with(tmp_path: Path) -> None:
    entry = study_deployment("mine", write(tmp_path))
    assert entry["description"].startswith("First line, second line.\n\n- Tasks: tickets, sms_spam")
    assert entry["tags"] == ["synthgap", "embedded", "openai"]
    assert entry["parameters"]["study"] == "mine"
    assert entry["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_a_deployment_s_version_names_the_content_of_its_file(tmp_path: Path) -> None:
    first = study_deployment("mine", write(tmp_path))["version"]
    assert study_deployment("mine", write(tmp_path))["version"] == first
    assert study_deployment("mine", write(tmp_path, seeds=[7]))["version"] != first


def test_a_broken_file_and_a_name_taken_are_complaints_and_the_others_are_registered(tmp_path: Path) -> None:
    good = write(tmp_path)
    twin = tmp_path / "twin.yaml"
    twin.write_text(good.read_text())
    broken = write(tmp_path, "broken", tasks=[])
    entries, complaints = study_deployments({"broken": broken, "mine": good, "twin": twin})
    assert [entry["name"] for entry in entries] == ["mine"]
    assert len(complaints) == 2
    assert "broken.yaml" in complaints[0] and "twin.yaml" in complaints[1] and "'mine'" in complaints[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tasks": ["./gone.yaml"]}, "no such file"),
        ({"modes": ["reel"]}, "Did you mean 'real'"),
        ({"filters": ["x"]}, "x"),
    ],
)
def test_a_study_with_an_unknown_name_is_a_complaint_that_names_its_file(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=rf"study mine\.yaml: .*{said}"):
        study_deployment("mine", write(tmp_path, **change))


def test_prefect_yaml_is_in_step_with_the_study_files() -> None:
    made = deployments.prefect_yaml()
    assert deployments.PREFECT_YAML.read_text() == made, "run `python -m flows.operations.deployments`"


@pytest.mark.parametrize("comment", ["# the key is sk-planted-0123456789abcdef", "# at http://me:hunter2@host/v1"])
def test_a_secret_in_a_files_comment_gets_into_no_description(tmp_path: Path, comment: str) -> None:
    for kind, path in (("study", write(tmp_path, "mine")), ("watch", tmp_path / "w.yaml")):
        content = (
            path.read_text() if kind == "study" else '{"name": "w", "study": "mine.yaml", "providers": ["openai"]}'
        )
        path.write_text(f"{comment}\n{content}")
        with pytest.raises(UserError, match="line 1 holds what looks like a secret") as caught:
            study_deployment("mine", path) if kind == "study" else watch_deployment("w", path, Settings(home=tmp_path))
        assert "planted" not in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("modes", [["real", "mix/50"], [{"few_shot": {"examples": 8}}, "mix/25/few_shot/examples:8"]])
def test_the_form_of_a_study_allows_what_its_file_says(tmp_path: Path, modes: list[Any]) -> None:
    """Prefect's server refuses values that the form's schema does not list."""
    entry = study_deployment("mine", write(tmp_path, modes=modes))
    made = RunnerDeployment.from_flow(study, name="mine", parameters=entry["parameters"])
    offer_modes(made, entry["parameters"]["modes"])
    validate(made.parameters, made._parameter_openapi_schema.model_dump(), raise_on_error=True, preprocess=True)
    assert {"zero_shot", "few_shot"} <= set(made._parameter_openapi_schema.properties["modes"]["items"]["enum"])
