"""Job templates of work pools: what Prefect makes of them, and that none holds a secret."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.utilities.templating import apply_values, find_placeholders

from flows.server import Server
from tests.flows.small_study import environment

ROOT = Path(__file__).parents[2]
POOLS = ROOT / "deployments" / "pools"
KINDS = sorted(path.stem for path in POOLS.glob("*.json"))


def template(kind: str) -> dict:
    return json.loads((POOLS / f"{kind}.json").read_text())


def rendered(kind: str) -> dict:
    """The job as Prefect's workers make it of the template's defaults, for a run called ``run``."""
    found = template(kind)
    variables = found["variables"]["properties"]
    defaults = {name: item["default"] for name, item in variables.items()} | {"name": "run"}
    return apply_values({**found["job_configuration"], "env": defaults["env"]}, defaults)


@pytest.mark.parametrize("kind", KINDS)
def test_every_variable_of_the_form_is_used_and_explained(kind: str) -> None:
    found = template(kind)
    used = {item.name for item in find_placeholders(json.dumps(found["job_configuration"]))}
    assert used == set(found["variables"]["properties"])
    assert all(item["description"] and item["title"] for item in found["variables"]["properties"].values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_home_folder_is_a_volume_that_outlives_the_job(kind: str) -> None:
    job = json.dumps(rendered(kind))
    assert rendered(kind)["env"]["SYNTHGAP_HOME"] == "/data"
    assert "synthgap-home:/data" in job or '"mountPath": "/data"' in job


def test_docker_takes_secrets_from_the_environment_of_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-worker")
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    env = rendered("docker")["env"]
    assert (env["OPENAI_API_KEY"], env["MISTRAL_API_KEY"]) == ("sk-of-the-worker", "")
    given = template("docker")["variables"]["properties"]["env"]["default"]
    secret = {name: value for name, value in given.items() if re.search("KEY|TOKEN|PASSWORD|URI", name)}
    assert secret
    assert all(value == f"{{{{ ${name} }}}}" for name, value in secret.items())


def test_kubernetes_takes_secrets_from_a_secret_by_name() -> None:
    [container] = rendered("kubernetes")["job_manifest"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "synthgap"}}]
    assert container["name"] == "prefect-job"  # Prefect's worker insists on it
    assert not [name for name in container["env"] if re.search("KEY|TOKEN|PASSWORD", name)]


def test_a_container_drops_empty_variables() -> None:
    command = [ROOT / "deployments" / "entrypoint.sh", sys.executable, "-c", "import os; print(dict(os.environ))"]
    variables = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "", "SYNTHGAP_HOME": "/data", "ODD": "a b='"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert "OPENAI_API_KEY" not in done.stdout
    assert "'SYNTHGAP_HOME': '/data'" in done.stdout
    assert "a b=" in done.stdout


@pytest.mark.slow
def test_a_prefect_server_takes_every_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    server = Server(tmp_path / "log")
    try:
        server.wait()
        client = environment(tmp_path, PREFECT_API_URL=server.url)
        for kind in KINDS:
            file = str(POOLS / f"{kind}.json")
            prefect = [sys.executable, "-m", "prefect", "work-pool"]
            create = [*prefect, "create", kind, "--type", kind, "--base-job-template", file]
            done = subprocess.run(create, env=client, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            inspect = [*prefect, "inspect", kind, "--output", "json"]
            kept = subprocess.run(inspect, env=client, capture_output=True, text=True, timeout=300, check=True).stdout
            pool = json.loads(kept)
            assert (pool["type"], pool["base_job_template"]) == (kind, template(kind))
    finally:
        server.stop()
