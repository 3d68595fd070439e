"""What lets a synthesis have millions of rows: indexes and files in the place of lists, with the same outcome."""

import random

import pytest
from rensa import RMinHash, RMinHashLSH

from tasks.errors import RunError
from tasks.generation import hash_index
from tasks.generation.filter import FilterContext
from tasks.generation.filters import FILTERS, near_duplicate
from tasks.generation.filters.near_duplicate import bands_and_rows, shingles, similarity
from tasks.generation.hash_index import HashIndex
from tasks.generation.row_file import RowFile
from tasks.records import Row, canonical, canonical_list, content_key, key_of_parts
from tests.full_disk import largest_file
from tests.generation.conftest import WORDS


def texts(count: int) -> list[str]:
    """Texts of few words, so that many are alike, some in all but a word."""
    rng, made = random.Random(0), []
    for _ in range(count):
        words = rng.choice(made).split() if made and rng.random() < 0.5 else rng.choices(WORDS, k=rng.randint(4, 12))
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        made.append(" ".join(words))
    return made


@pytest.mark.parametrize("jaccard", [0.5, 0.7, 0.9])
def test_near_duplicates_are_those_of_a_minhash_lsh_that_holds_everything(jaccard):
    bands, rows = bands_and_rows(jaccard)

    def signature(text: str) -> RMinHash:
        made = RMinHash(num_perm=bands * rows, seed=near_duplicate.SEED)
        made.update(shingles(text))
        return made

    context, index = FilterContext(None, (), frozenset()), RMinHashLSH(jaccard, bands * rows, bands)
    check, kept = FILTERS["near_duplicate"].with_parameters({"jaccard": str(jaccard)}).check(context), []
    for number, text in enumerate(texts(600)):
        like = [(similarity(shingles(text), shingles(kept[i])), -i) for i in index.query(signature(text))]
        expected, nearest = max(like, default=(0.0, 0))
        found = check(Row(text, "glad", f"glad/{number}/0"))
        assert (found is None) == (expected < jaccard)
        if found is None:
            index.insert(len(kept), signature(text))
            kept.append(text)
            context.kept.append(Row(text, "glad", f"glad/{number}/0"))
        else:
            assert context.kept[-nearest].call in found and f"{expected:.0%}" in found
    assert 50 < len(kept) < 590


def test_an_index_finds_what_was_added_before_and_after_it_is_sorted():
    rng, index, rows = random.Random(1), HashIndex(1000, newest=50), {}
    values = [rng.getrandbits(64) for _ in range(40)]
    for row in range(500):
        hashes = rng.sample(values, 3)
        index.add(row, hashes)
        for value in hashes:
            rows.setdefault(value, []).append(row)
    for value in values:
        assert index.find([value]) == rows[value]
    assert index.find(values) == list(range(500)) and index.find([rng.getrandbits(64)]) == []
    with pytest.raises(OverflowError):
        index.add(hash_index.MOST_ROWS, [1])


def test_rows_come_back_in_their_order_from_memory_and_from_disk(tmp_path):
    rows = [Row(f"a\u2028\n{i}", "glad", f"glad/{i}/0", answer=i) for i in range(50)]
    file = RowFile(tmp_path, in_memory=500)
    for number, row in enumerate(rows):
        file.append(row)
        assert file[number] == row and file[number // 2] == rows[number // 2]
    assert list(file) == rows and len(file) == 50 and len(list(file.lines())) == 50
    assert list(tmp_path.iterdir()) == []  # it has no name: nothing stays after a kill


def test_a_full_disk_is_one_clear_error_whichever_way_it_is_met(tmp_path, capsys):
    file, row = RowFile(tmp_path, in_memory=500), Row("a" * 100, "glad", "glad/0/0")
    with largest_file(20_000):
        with pytest.raises(RunError, match="cannot write filtered rows"):
            for _ in range(1000):
                file.append(row)
        with pytest.raises(RunError, match="cannot write filtered rows"):  # what waits is written first
            assert file[0]
        del file
    assert "Error" not in capsys.readouterr().err  # its end is quiet


@pytest.mark.parametrize("items", [[], [("a", "b")], [("é\u2028", 'b"'), ("", "c")]])
def test_the_key_of_a_list_in_pieces_is_that_of_the_list(items):
    rest = {"draw": 0, "zeta": {"b": 1, "a": None}, "cost": 0.1}
    small = {name: canonical(value) for name, value in rest.items()}
    assert key_of_parts({**small, "imported": canonical_list(items)}) == content_key({"imported": items, **rest})
