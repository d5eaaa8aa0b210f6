from dataclasses import replace

import pytest
import torch
from tests.experiments.test_compress import lowering
from tests.experiments.texts import KINDS, silent, write

from springback.errors import RefusedError
from springback.experiments.compress.archive import pack, prove, tokenizer_sha256, unpack
from springback.experiments.compress.config import CompressConfig
from springback.experiments.compress.header import MAGIC, opened
from springback.experiments.compress.restore import load_for, restore
from springback.experiments.compress.score import compress
from springback.models.tiny import tiny
from springback.store.sealed import seal


def small(seed=0):
    """The tiny model, smaller still: a file is coded token by token here."""
    return tiny(seed, layers=2, hidden=32, heads=2)


def packed(folder, content, model=None, *, blocks=None, **options):
    (text,) = write(folder, content)
    return pack(text, model or small(), CompressConfig(**options), asked="tiny", blocks=blocks, report=silent)


def given_back(one, model):
    return unpack(one.header, one.payload, lambda _coded: model, report=silent)


@pytest.mark.parametrize("kind", [*KINDS])
@pytest.mark.parametrize("options", [{}, {"blocks": 1, "window": 40, "stride": 20}, {"bos": "none", "eos": "count"}])
def test_texts_come_back_to_the_byte(tmp_path, kind, options):
    content = KINDS[kind][:40].encode()
    one = packed(tmp_path, content, **options)
    assert one.header.why is None
    assert given_back(one, small()) == content
    assert one.code.within_bound


def test_twenty_kilobytes_come_back(tmp_path):
    content = "".join(f"{n}. 문장, a sentence and 🙂\r\n" for n in range(600)).encode()
    one = packed(tmp_path, content[:20_000].decode("utf-8", "ignore"))
    assert given_back(one, small()) == content[:20_000].decode("utf-8", "ignore").encode()
    assert one.header.coded.blocks == 32


def test_a_text_in_several_pieces_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr("springback.data.plain_text.PIECE_BYTES", 64)
    content = "".join(f"line {n} 한글\n" for n in range(40)).encode()
    one = packed(tmp_path, content)
    assert len(one.header.coded.pieces) > 5
    assert given_back(one, small()) == content


@pytest.mark.parametrize("content", [b"", b"ab\xff\xfe" * 40, bytes(range(256)) * 4])
def test_what_no_model_can_code_is_deflated_and_needs_none(tmp_path, content):
    one = packed(tmp_path, content)
    assert one.header.coded is None
    assert (one.header.why is None) == (content == b"")
    assert given_back(one, None) == content


def test_a_text_that_the_tokenizer_changes_is_deflated_and_says_so(tmp_path):
    one = packed(tmp_path, "ＡＢＣ wide", lowering())
    assert "does not give this text back" in one.header.why
    assert given_back(one, None) == "ＡＢＣ wide".encode()


def test_one_block_has_the_bits_of_the_measured_rate(tmp_path):
    (text,) = write(tmp_path, KINDS["korean"][:150])
    config = CompressConfig(window=100, stride=30)
    one = pack(text, small(), config, asked="tiny", blocks=1, report=silent)
    rate = compress([text], small(), config, report=silent).files[0].code_bits
    assert one.code.cross_entropy_bits == pytest.approx(rate, abs=0.05)
    assert rate - 0.05 < one.code.bits < rate + 2.05


def test_another_model_is_refused_by_the_names_of_both(tmp_path):
    one = packed(tmp_path, "a text")
    with pytest.raises(RefusedError, match=r"packed with tiny-0 .*, and tiny-1 is another model"):
        given_back(one, small(1))


def test_another_tokenizer_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="tokenizer sha256"):
        given_back(packed(tmp_path, "a text"), lowering())


def test_the_hash_of_a_tokenizer_is_the_same_before_and_after_it_was_used():
    model = small()
    before = tokenizer_sha256(model)
    model.tokenizer(["a", "bcd"], padding=True, truncation=True, max_length=2, split_special_tokens=True)
    assert tokenizer_sha256(model) == before != tokenizer_sha256(lowering())


@pytest.mark.parametrize("content", ["a text", KINDS["korean"][:60]])
def test_other_logits_under_the_same_hash_are_refused(tmp_path, content):
    one, changed = packed(tmp_path, content), small()
    with torch.no_grad():
        changed.network.model.layers[1].mlp.up_proj.weight += 0.05
    with pytest.raises(RefusedError, match="other logits"):
        given_back(one, changed)


def test_another_number_of_threads_does_not_matter_and_is_put_back(tmp_path):
    one = packed(tmp_path, KINDS["korean"][:60])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        assert given_back(one, small()).decode() == KINDS["korean"][:60]
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert one.header.coded.machine["threads"] == before


def test_a_proof_notices_a_wrong_text_and_a_code_that_is_too_long(tmp_path):
    one = packed(tmp_path, "a text")
    prove(one, small(), report=silent)
    with pytest.raises(RuntimeError, match="more than its cross-entropy"):
        prove(replace(one, code=replace(one.code, bits=one.code.bits + 4)), small(), report=silent)
    (tmp_path / "0.txt").write_text("b text")
    with pytest.raises(RuntimeError, match="is not what was packed"):
        prove(one, small(), report=silent)


def test_more_blocks_than_tokens_are_refused(tmp_path):
    with pytest.raises(RefusedError, match="1 to 6 blocks"):
        packed(tmp_path, "a text", blocks=7)


def sealed(folder, content):
    one = packed(folder, content)
    path = folder / "a.txt.sbz"
    seal(path, MAGIC, one.header.json(), one.payload)
    return path


@pytest.mark.parametrize("content", ["flip", b"\xff\x00"])
def test_a_flipped_byte_anywhere_is_refused(tmp_path, content):
    path = sealed(tmp_path, content)
    whole = path.read_bytes()
    assert opened(path)[0].bytes == len(content)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        with pytest.raises(RefusedError):
            opened(path)


def test_the_header_names_what_the_contract_asks_for(tmp_path):
    header, _ = opened(sealed(tmp_path, "some text"))
    coded, model = header.coded, small()
    assert (coded.name, coded.weights_sha256) == ("tiny-0", model.weights_sha256)
    assert (coded.bos, coded.window, coded.stride, coded.blocks, coded.tokens) == ("<|im_start|>", 1024, 512, 1, 9)
    assert {"device", "threads", "processor", "torch", "transformers"} <= set(coded.machine)


def test_another_format_is_refused(tmp_path):
    seal(tmp_path / "a.sbz", MAGIC, {"sbz": 2, "coded": None}, b"")
    with pytest.raises(RefusedError, match="does not understand"):
        opened(tmp_path / "a.sbz")


def put(folder, to=None):
    path = sealed(folder, "some text")
    return restore(path, *opened(path), to, lambda _coded: small(), report=silent)


def test_a_file_goes_beside_its_archive_or_where_it_is_told(tmp_path):
    assert put(tmp_path) == (tmp_path / "a.txt", True)
    assert put(tmp_path) == (tmp_path / "a.txt", False)
    (tmp_path / "b").write_text("something else")
    assert put(tmp_path, tmp_path / "b") == (tmp_path / "b", True)
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "b").read_text() == "some text"


def test_another_file_in_its_place_is_left_alone(tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(RefusedError, match="is there and is another file"):
        put(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "mine"


def test_a_model_that_an_archive_names_is_never_looked_for_on_the_network(tmp_path):
    coded = replace(opened(sealed(tmp_path, "text"))[0].coded, asked="someone/model")
    with pytest.raises(RefusedError, match="given as someone/model"):
        load_for(coded, None)


def test_other_versions_are_said_and_another_kind_of_device_is_refused(tmp_path):
    coded = opened(sealed(tmp_path, "text"))[0].coded
    assert load_for(coded, None)[1] == []
    old = replace(coded, machine={**coded.machine, "torch": "1.0", "threads": 64})
    assert [note.split(":")[0] for note in load_for(old, None)[1]] == [
        f"packed with torch 1.0, here it is {coded.machine['torch']}"
    ]
    with pytest.raises(RefusedError, match="packed on abacus"):
        load_for(replace(coded, machine={**coded.machine, "device": "abacus"}), None)
