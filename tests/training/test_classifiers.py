import io
import json
import subprocess
import sys

import pytest

from tasks.config import ClassifierConfig
from tasks.errors import RunError, UserError
from tasks.training import encoders
from tasks.training.classifiers import check_classifier, finetune, resolve

GOOD = (
    "embedded/minilm-l6",
    "probe/embedded/minilm-l6",
    "google-bert/bert-base-uncased",
    "bert-base-uncased",
    "probe/FacebookAI/roberta-base",
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize("model", GOOD)
def test_what_can_exist_is_accepted(model):
    check_classifier(ClassifierConfig(model=model))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "embedded/minilm"}, "unknown classifier 'embedded/minilm'. Did you mean 'embedded/minilm-l6'"),
        ({"model": "probe/embedded/x"}, "unknown classifier 'embedded/x'"),
        ({"model": "./nowhere"}, "there is no such folder"),
        ({"model": "not a name"}, "'not a name' is neither a hub id"),
        ({"model": "embedded/minilm-l6", "revision": "abc"}, "has no revisions (got 'abc')"),
        ({"model": "probe/embedded/minilm-l6", "epochs": 5}, "epochs 5 is for fine-tuning"),
    ],
)
def test_what_cannot_exist_is_named(fields, said):
    with pytest.raises(UserError) as error:
        check_classifier(ClassifierConfig(**fields))
    assert said in str(error.value)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no transformers model: it needs config.json"):
        check_classifier(ClassifierConfig(model=str(tmp_path)))


def test_a_folder_is_identified_by_content_not_by_place(folder, tmp_path_factory):
    first = resolve(ClassifierConfig(model=str(folder)))
    moved = tmp_path_factory.mktemp("elsewhere") / "model"
    folder.rename(moved)
    assert resolve(ClassifierConfig(model=str(moved))) == first
    (moved / "model.safetensors").write_bytes(b"other weights")
    assert resolve(ClassifierConfig(model=str(moved))) != first


def test_defaults_are_filled_in():
    tuned = resolve(ClassifierConfig(model="embedded/minilm-l6"))["learning_rate"]
    written = ClassifierConfig(model="embedded/minilm-l6", learning_rate=tuned)
    assert resolve(written) == resolve(ClassifierConfig(model="embedded/minilm-l6"))


@pytest.mark.parametrize("field", ["epochs", "min_steps", "batch_size", "max_length"])
def test_every_hyper_parameter_is_part_of_the_identity(field):
    plain = ClassifierConfig(model="embedded/minilm-l6")
    assert resolve(plain) != resolve(plain.model_copy(update={field: 7}))


@pytest.mark.parametrize(("rows", "expected"), [(10, 50), (160, 50), (1600, 200)])
def test_small_sets_get_a_floor_of_steps(rows, expected):
    config = ClassifierConfig(model="m", epochs=2, batch_size=16, min_steps=50)
    assert finetune.steps(rows, config) == expected


def test_a_model_that_cannot_be_fetched_is_named():
    def offline(*_, **__):
        raise OSError("We couldn't connect to the hub\nand more lines")

    with pytest.raises(RunError, match=r"cannot load classifier 'nobody/nothing': We couldn't connect to the hub$"):
        encoders.load(encoders.find_encoder("nobody/nothing"), offline)


def test_checking_imports_nothing_heavy():
    script = (
        "import sys, json; from tasks.config import ClassifierConfig as C;"
        "from tasks.training.classifiers import check_classifier, resolve; from tasks.training import trial;"
        f"[(check_classifier(C(model=m)), resolve(C(model=m))) for m in {GOOD!r}];"
        "print(json.dumps([m for m in ('torch', 'transformers', 'sklearn', 'numpy', 'scipy') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_code_that_comes_with_a_model_is_never_run(tmp_path, monkeypatch):
    """The library else asks on the terminal, where somebody may say yes."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "odd", "auto_map": {"AutoConfig": "odd.Odd"}}))
    (tmp_path / "odd.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nraise SystemExit\n")
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    encoder = encoders.find_encoder(str(tmp_path))
    with pytest.raises(RunError, match="cannot load classifier"):
        encoders.load(encoder, encoders.transformers().AutoModel.from_pretrained)
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_are_read_as_tensors_only(tmp_path):
    class Runs:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    config = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 8, "vocab_size": 9}))
    import torch

    torch.save({"weight": Runs()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(RunError, match="cannot load classifier"):
        encoders.load(encoders.find_encoder(str(tmp_path)), encoders.transformers().AutoModel.from_pretrained)
    assert not (tmp_path / "ran").exists()
