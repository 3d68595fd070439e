"""Job templates of work pools: what Prefect makes of them, what a run may choose, and that none holds a secret."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.templating import apply_values, find_placeholders

from flows.operations.ephemeral_server import EphemeralServer
from tasks.config import named
from tests.flows.small_study import environment

ROOT = Path(__file__).parents[3]
POOLS = ROOT / "deployments" / "pools"
START = "prefect flow-run execute"
"""What Prefect starts a run with."""
KINDS = sorted(path.stem for path in POOLS.glob("*.json") if path.stem != "process")
"""Of containers. The pool of processes lets a run choose nothing."""
CHOICES = {
    *("image_pull_policy", "stream_output", "mem_limit", "cpu_request", "memory_request", "memory_limit"),
    *("finished_job_ttl", "job_watch_timeout_seconds", "pod_watch_timeout_seconds"),
}
"""What a run in a container may choose: how much, how long, and what is printed. Not what runs, with which variables,
volumes or secrets."""


def template(kind: str) -> dict:
    return json.loads((POOLS / f"{kind}.json").read_text())


def rendered(kind: str) -> dict:
    """The job as Prefect's workers make it of the template's defaults."""
    found = template(kind)
    variables = found["variables"]["properties"]
    defaults = {name: item["default"] for name, item in variables.items()}
    env = defaults.get("env", found["job_configuration"]["env"])
    return apply_values({**found["job_configuration"], "env": env}, defaults)


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


def test_a_run_chooses_nothing_about_its_process() -> None:
    found = template("process")
    assert not find_placeholders(json.dumps(found["job_configuration"]))
    assert (found["variables"]["properties"], found["variables"]["additionalProperties"]) == ({}, False)
    assert "env" not in found["job_configuration"], "Prefect would merge a run's into it"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_in_a_container_chooses_neither_what_runs_nor_what_it_sees(kind: str) -> None:
    found = template(kind)
    fixed = {name for name, item in found["variables"]["properties"].items() if "const" in item}
    assert set(found["variables"]["properties"]) - fixed <= CHOICES
    for name in fixed:  # Prefect's server takes the value {{ $NAME }} in variables only
        assert found["variables"]["properties"][name]["const"] == found["variables"]["properties"][name]["default"]
    assert found["variables"]["additionalProperties"] is False, "the server would take any other, such as command"
    assert "command" not in found["job_configuration"]
    assert "env" in fixed or isinstance(found["job_configuration"]["env"], dict)


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_a_run_chooses_holds_no_placeholder(kind: str) -> None:
    """Prefect would fill in a secret of its own for it, which then shows in the job."""
    for name, item in template(kind)["variables"]["properties"].items():
        for choice in item.get("anyOf", [item]):
            if choice.get("type") == "string" and "enum" not in choice:
                assert not re.search(choice["pattern"], "{{ prefect.blocks.secret.key }}"), name
                assert item["default"] is None or re.search(choice["pattern"], item["default"]), name


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
    assert not [name for name in rendered("kubernetes")["env"] if re.search("KEY|TOKEN|PASSWORD", name)]


def test_a_container_drops_empty_variables() -> None:
    command = [ROOT / "deployments" / "entrypoint.sh", sys.executable, "-c", "import os; print(dict(os.environ))"]
    variables = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "", "SYNTHGAP_HOME": "/data", "ODD": "a b='"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert "OPENAI_API_KEY" not in done.stdout
    assert "'SYNTHGAP_HOME': '/data'" in done.stdout
    assert "a b=" in done.stdout


@pytest.mark.parametrize(
    ("kind", "worker"), [("docker", "DockerWorkerJobConfiguration"), ("kubernetes", "KubernetesWorkerJobConfiguration")]
)
def test_the_worker_of_that_kind_makes_a_job_of_it(kind: str, worker: str) -> None:
    """With the extra package of Prefect that a machine with such a worker has."""
    made_by = getattr(pytest.importorskip(f"prefect_{kind}.worker"), worker)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):  # nobody is asked
        job = asyncio.run(made_by.from_template_and_values(template(kind), {}))
    job.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="small"))
    if kind == "docker":
        assert (job.command, job.image, job.volumes) == (START, "synthgap:0.1.0", ["synthgap-home:/data"])
        return
    [container] = job.job_manifest["spec"]["template"]["spec"]["containers"]
    assert (container["args"], container["image"]) == (START.split(), "synthgap:0.1.0")
    assert {"name": "SYNTHGAP_HOME", "value": "/data"} in container["env"]


def test_the_files_of_the_image_are_all_that_a_run_reads(tmp_path: Path) -> None:
    """What the Dockerfile copies, as far as Docker is shown it, and nothing else of the repository."""
    dockerfile = (ROOT / "deployments" / "Dockerfile").read_text()
    shown = (ROOT / "deployments" / "Dockerfile.dockerignore").read_text()
    copied = [name for line in re.findall("^COPY (.*)", dockerfile, re.MULTILINE) for name in line.split()[:-1]]
    assert sorted(copied) == sorted(re.findall("^!(.*)", shown, re.MULTILINE))
    for name in copied:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    read = (
        "import flows.deployed; from tasks.config import named\n"
        "print(sorted(named.shipped_studies()), sorted(named.shipped_watches()), flows.__path__)"
    )
    command = [sys.executable, "-c", read]
    client = environment(tmp_path, PYTHONPATH=str(tmp_path))
    done = subprocess.run(command, cwd=tmp_path, env=client, capture_output=True, text=True, timeout=300, check=True)
    names = [sorted(named.shipped_studies()), sorted(named.shipped_watches())]
    assert done.stdout.strip() == f"{names[0]} {names[1]} {[str(tmp_path / 'flows')]}"


@pytest.mark.slow
def test_a_prefect_server_takes_every_template_and_deployments_onto_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    server = EphemeralServer(tmp_path / "log")
    try:
        server.wait()
        client = environment(tmp_path, PREFECT_API_URL=server.url, **server.login.of_prefect)
        logged_in = httpx.Client(auth=(server.login.user, server.login.password))

        def prefect(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
            return subprocess.run(
                command, cwd=ROOT, env=client, capture_output=True, text=True, timeout=300, check=False
            )

        for kind in KINDS:
            file = str(POOLS / f"{kind}.json")
            done = prefect("work-pool", "create", kind, "--type", kind, "--base-job-template", file)
            assert done.returncode == 0, done.stdout + done.stderr
            pool = logged_in.get(f"{server.url}/work_pools/{kind}").json()
            assert (pool["type"], pool["base_job_template"]) == (kind, template(kind))
            deploy = ["deploy", "--name", "quickstart", "--pool", kind]
            for closed in ("command=touch /tmp/x", "image=theirs", 'env={"A": "b"}', "env.A=b", "volumes=[]"):
                refused = prefect(*deploy, "--job-variable", closed)
                assert refused.returncode == 1 and closed.partition("=")[0].partition(".")[0] in refused.stderr, refused
            assert "Sometimes" in (refused := prefect(*deploy, "--job-variable", "image_pull_policy=Sometimes")).stderr
            assert refused.returncode == 1
            done = prefect(*deploy, "--job-variable", "image_pull_policy=Always")
            assert done.returncode == 0, done.stdout + done.stderr
            deployment = logged_in.get(f"{server.url}/deployments/name/study/quickstart").json()
            assert (deployment["work_pool_name"], deployment["entrypoint"]) == (kind, "flows.deployed.study")
            assert deployment["job_variables"] == {"image_pull_policy": "Always"}
    finally:
        server.stop()
