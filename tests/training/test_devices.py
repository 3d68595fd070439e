"""Which GPU a training gets. No test needs one: the choice depends on names alone."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.errors import RunError
from tasks.training import worker
from tasks.training.devices import VISIBLE, Gpu, claim, parse, visible

UUIDS = ("GPU-a", "GPU-b", "GPU-c")

TRAINING = """
import os, time
with open({file!r} + ".new", "w") as file:
    file.write(os.environ["CUDA_VISIBLE_DEVICES"])
os.rename({file!r} + ".new", {file!r})
end = time.monotonic() + 120
while not all(map(os.path.exists, {others!r})):
    assert time.monotonic() < end, "the others did not begin"
    time.sleep(0.02)
"""

ONE_DEVICE = """
from tasks.training.classifiers.finetune import one_device
from tasks.training.encoders import transformers
arguments = transformers().TrainingArguments({folder!r}, per_device_train_batch_size=8, use_cpu=True)
arguments.n_gpu, arguments.device
arguments._n_gpu = 4  # as where torch sees four
assert arguments.train_batch_size == 32, "the library has changed: this test shows nothing now"
assert one_device(arguments).train_batch_size == 8
assert arguments.n_gpu == 1
arguments._n_gpu = 0
assert one_device(arguments).n_gpu == 0
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, UUIDS),
        ("", ()),
        ("-1", ()),
        ("2,0", ("2", "0")),
        (" 1 , GPU-a", ("1", "GPU-a")),
        ("0,-1,1", ("0",)),
        ("1,3,0", ("1",)),
        ("MIG-7", ("MIG-7",)),
        ("none", ()),
    ],
)
def test_visible_gpus_are_those_that_cuda_would_show(setting, expected):
    assert visible(setting, UUIDS) == expected


def test_the_driver_is_understood():
    answer = "GPU-a, 8.0, NVIDIA A100-SXM4-80GB\nGPU-b, 9.0, Some GPU, with a comma\n"
    assert parse(answer) == (Gpu("GPU-a", 8.0, "NVIDIA A100-SXM4-80GB"), Gpu("GPU-b", 9.0, "Some GPU, with a comma"))
    assert parse("") == ()


def test_trainings_spread_evenly_and_a_gpu_that_is_free_again_is_taken_first(tmp_path):
    claims = [claim(("0", "GPU-b/1"), tmp_path) for _ in range(5)]
    assert [(one.device, one.place) for one in claims] == [("0", 0), ("GPU-b/1", 0), ("0", 1), ("GPU-b/1", 1), ("0", 2)]
    claims[1].release()
    again = claim(("0", "GPU-b/1"), tmp_path)
    assert (again.device, again.place) == ("GPU-b/1", 0)


def test_processes_that_list_the_gpus_in_another_order_spread_too(tmp_path):
    claims = [claim(order, tmp_path) for order in (("0", "1", "2"), ("1", "2", "0"), ("0", "2", "1"))]
    assert [one.device for one in claims] == ["0", "1", "2"]


@pytest.mark.parametrize("devices", [(), ("0",)])
def test_nothing_is_claimed_where_there_is_no_choice(tmp_path, devices):
    assert claim(devices, tmp_path / "gpus") is None
    assert not (tmp_path / "gpus").exists()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"^cannot write '.*/file/gpus': "):
        claim(("0", "1"), tmp_path / "file" / "gpus")


def train_at_once(pool, folder, number):
    """What each of some trainings sees that run at once: each waits for the others to have begun."""
    folder.mkdir()
    files = [folder / str(i) for i in range(number)]
    code = [TRAINING.format(file=str(file), others=[str(other) for other in files]) for file in files]
    with ThreadPoolExecutor(number) as threads:
        list(threads.map(lambda script: pool.call(exec, script), code))
    return sorted(file.read_text() for file in files)


def test_trainings_at_once_see_one_gpu_each_and_share_only_when_they_must(tmp_path):
    pool = worker.Pool(lambda: claim(("7", "9"), tmp_path))
    elsewhere = worker.Pool(lambda: claim(("7", "9"), tmp_path))  # as of another process
    try:
        assert train_at_once(pool, tmp_path / "three", 3) == ["7", "7", "9"]
        assert train_at_once(pool, tmp_path / "two", 2) == ["7", "9"]
        assert elsewhere.call(os.getenv, VISIBLE) == "9"
    finally:
        pool.stop()
        elsewhere.stop()


def test_a_training_takes_no_part_in_a_launch_of_many(monkeypatch):
    for name in ("LOCAL_RANK", "WORLD_SIZE", "ACCELERATE_MIXED_PRECISION", "UNRELATED"):
        monkeypatch.setenv(name, "2")
    pool = worker.Pool(lambda: None)
    try:
        assert pool.call(os.getenv, "UNRELATED") == "2"
        for name in ("LOCAL_RANK", "WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"):
            assert pool.call(os.getenv, name) is None
    finally:
        pool.stop()


def test_the_trainer_uses_one_gpu_of_many(tmp_path):
    worker.call(exec, ONE_DEVICE.format(folder=str(tmp_path)))
