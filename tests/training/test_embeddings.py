import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from tasks.errors import RunError
from tasks.store import Store
from tasks.training import embeddings
from tasks.training.embeddings import KIND, SHARD_TEXTS, Embedder, embed, seconds_per_character, stored_texts
from tasks.training.encoders import Embedded, Encoder

PLACES = ["{folder}/store", "memory://{folder}"]


class Lengths:
    """Embeds a text as its length and first letter; keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(list(texts))
        return np.array([[len(text), ord(text[0])] for text in texts], np.float32)


def embedder(name="an-encoder", max_length=64, precision="fp32"):
    return Embedder(Encoder(name, name, None, "1"), max_length, precision)


@pytest.fixture(params=PLACES)
def store(request, tmp_path):
    return Store(request.param.format(folder=tmp_path))


def test_each_distinct_text_is_embedded_once_whoever_asks_and_in_whatever_order(store):
    encode = Lengths()
    first = embed(["bb", "a", "bb", "ccc"], embedder(), store, encode=encode)
    again = embed(["ccc", "dddd", "a"], embedder(), store, encode=encode)
    assert first.tolist() == [[2, 98], [1, 97], [2, 98], [3, 99]] and first.dtype == np.float32
    assert again.tolist() == [[3, 99], [4, 100], [1, 97]]
    assert sorted(text for batch in encode.asked for text in batch) == ["a", "bb", "ccc", "dddd"]
    assert stored_texts(["a", "a", "dddd", "e"], embedder(), store) == 2


@dataclass(frozen=True)
class Counting(Embedder):
    """Reads a character as a token; keeps what it was asked."""

    asked: list[str] = field(default_factory=list)

    def encode(self, texts):
        self.asked.extend(texts)
        read = [text[: self.max_length] for text in texts]
        vectors = np.array([[len(text), ord(text[0])] for text in read], np.float32)
        return Embedded(vectors, [len(text) if len(text) < self.max_length else 0 for text in texts])


def test_a_whole_text_has_one_vector_however_much_may_be_read(store):
    short, long = (Counting(Encoder("an-encoder", "an-encoder", None, "1"), size, "fp32") for size in (4, 8))
    assert embed(["a", "bbb", "cccc", "dddddd"], short, store).tolist() == [[1, 97], [3, 98], [4, 99], [4, 100]]
    assert embed(["a", "bbb", "cccc", "dddddd"], long, store).tolist() == [[1, 97], [3, 98], [4, 99], [6, 100]]
    assert sorted(long.asked) == ["cccc", "dddddd"], "which the other may have cut"
    assert stored_texts(["a", "cccc", "e"], long, store) == 2
    tiny = replace(short, max_length=2, asked=[])
    assert embed(["bbb", "a"], tiny, store).tolist() == [[2, 98], [1, 97]]
    assert tiny.asked == ["bbb"], "which is longer than it may read"
    medium = replace(short, max_length=6, asked=[])
    assert embed(["cccc"], medium, store).tolist() == [[4, 99]] and not medium.asked
    assert embed(["dddddd"], medium, store).tolist() == [[6, 100]] and not medium.asked, "as long as it may read"
    assert seconds_per_character(replace(short, max_length=5), store) >= 0


@pytest.mark.parametrize("other", [{"name": "another"}, {"max_length": 32}, {"precision": "bf16"}])
def test_what_shapes_a_vector_tells_shards_apart(store, other):
    encode = Lengths()
    embed(["a"], embedder(), store, encode=encode)
    embed(["a"], embedder(**other), store, encode=encode)
    assert encode.asked == [["a"], ["a"]] and len(store.keys(KIND)) == 2


def test_an_interrupted_run_loses_its_batch_only(store):
    texts, encode = [f"{i} text" for i in range(SHARD_TEXTS + 10)], Lengths()

    def killed(batch):
        if encode.asked:
            raise RunError("killed")
        return encode(batch)

    with pytest.raises(RunError, match="killed"):
        embed(texts, embedder(), store, encode=killed)
    assert len(embed(texts, embedder(), store, encode=encode)) == len(texts)
    assert [len(batch) for batch in encode.asked] == [SHARD_TEXTS, 10]


@pytest.mark.parametrize("name", ["texts.npy", "vectors.npy", "manifest.json"])
@pytest.mark.parametrize("content", [b"", None])
def test_a_damaged_shard_is_said_removed_and_made_again(tmp_path, name, content, caplog):
    store, encode = Store(str(tmp_path)), Lengths()
    embed(["a", "bb"], embedder(), store, encode=encode)
    [key] = store.keys(KIND)
    path = tmp_path / KIND / key / name
    path.write_bytes(path.read_bytes()[:-3] if content is None else content)
    embeddings._texts.clear()  # as a process that has not seen the shard
    assert embed(["bb"], embedder(), store, encode=encode).tolist() == [[2, 98]]
    assert encode.asked == [["bb", "a"], ["bb"]] or encode.asked == [["a", "bb"], ["bb"]]
    assert f"{KIND}/{key}" in caplog.text and "damaged" in caplog.text
    assert stored_texts(["a", "bb"], embedder(), store) == 1


def test_a_shard_of_another_shape_is_not_used(tmp_path):
    store, encode = Store(str(tmp_path)), Lengths()
    embed(["a", "bb"], embedder(), store, encode=encode)
    [key] = store.keys(KIND)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 2), np.float32))
    store.put(KIND, key, {}, {"texts.npy": store.file(KIND, key, "texts.npy"), "vectors.npy": buffer.getvalue()})
    assert embed(["a"], embedder(), store, encode=encode).tolist() == [[1, 97]]


def test_shards_that_are_pruned_meanwhile_are_made_again(tmp_path):
    store, encode = Store(str(tmp_path)), Lengths()
    embed(["a", "bb"], embedder(), store, encode=encode)
    shutil.rmtree(tmp_path / KIND)
    assert embed(["a"], embedder(), store, encode=encode).tolist() == [[1, 97]]


def test_two_stages_at_once_do_the_same_work_once(store):
    encode, texts = Lengths(), [f"{i} x" for i in range(50)]
    with ThreadPoolExecutor(2) as two:
        left, right = two.map(lambda _: embed(texts, embedder(), store, encode=encode), range(2))
    assert (left == right).all() and len(encode.asked) == 1


def test_two_machines_that_embed_the_same_text_do_not_disturb_each_other(tmp_path):
    store, encode = Store(str(tmp_path)), Lengths()
    for number, texts in enumerate((["a", "bb"], ["bb", "ccc"])):
        embed(texts, embedder(), Store(f"{tmp_path}/{number}"), encode=encode)
        shutil.copytree(tmp_path / str(number) / KIND, tmp_path / KIND, dirs_exist_ok=True)
    asked = len(encode.asked)
    assert embed(["ccc", "bb", "a"], embedder(), store, encode=encode).tolist() == [[3, 99], [2, 98], [1, 97]]
    assert len(encode.asked) == asked


def test_half_characters_and_no_texts_have_vectors_too(store):
    assert embed(["\ud83d"], embedder(), store, encode=Lengths()).shape == (1, 2)
    assert len(embed([], embedder(), store, encode=Lengths())) == 0


def test_what_embedding_took_is_known_from_the_shards(store):
    assert seconds_per_character(embedder(), store) is None
    embed(["a", "bb"], embedder(), store, encode=Lengths())
    assert seconds_per_character(embedder(), store) >= 0
