import pytest
import torch
from transformers import AutoConfig, BertConfig, BertForSequenceClassification, DistilBertConfig

from tasks.config import EMBEDDED_CLASSIFIER
from tasks.training import encoders
from tasks.training.classifiers.finetune import MODEL_OPTIONS
from tasks.training.packing import Packed, can_pack, collate

OFF = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TEXTS = [[2, 9, 4, 17, 5, 3], [2, 3], [2, 8, 3], [2, 30, 31, 32, 33, 3]]
LABELS = [0, 2, 1, 1]


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=32,
        num_labels=3,
        initializer_range=0.3,  # so that attention is far from even
        **OFF,
    )
    return BertForSequenceClassification(config)


def packed_logits(model, texts):
    return Packed(model)(**collate([{"input_ids": text} for text in texts]))["logits"]


def padded_logits(model, texts):
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return model(input_ids=ids, attention_mask=mask).logits


def gradients(model, logits):
    model.zero_grad()
    torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS)).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def test_logits_and_gradients_are_those_of_the_model_with_padding(model):
    packed, padded = packed_logits(model, TEXTS), padded_logits(model, TEXTS)
    torch.testing.assert_close(packed, padded, atol=1e-5, rtol=1e-4)
    ours, theirs = gradients(model, packed), gradients(model, padded)
    assert all(gradient is not None for gradient in ours.values())
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_a_text_does_not_see_its_neighbours(model):
    together = packed_logits(model, TEXTS)
    for place, text in enumerate(TEXTS):
        torch.testing.assert_close(packed_logits(model, [text])[0], together[place], atol=1e-5, rtol=1e-4)


def test_labels_come_with_the_batch_where_there_are_some():
    items = [{"input_ids": text, "labels": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    assert collate(items)["labels"].tolist() == LABELS
    assert "labels" not in collate([{"input_ids": text} for text in TEXTS])


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(),  # with dropout
        BertConfig(**OFF | {"hidden_dropout_prob": 0.1}),
        BertConfig(**OFF | {"attention_probs_dropout_prob": 0.1}),
        BertConfig(**OFF, classifier_dropout=0.1),
        BertConfig(**OFF, is_decoder=True),
        DistilBertConfig(dropout=0.0, attention_dropout=0.0),
    ],
    ids=["default", "hidden", "attention", "head", "decoder", "other"],
)
def test_other_models_are_left_as_they_are(config):
    assert not can_pack(config)


def test_the_packaged_encoder_is_packed():
    encoder = encoders.find_encoder(EMBEDDED_CLASSIFIER)
    assert can_pack(AutoConfig.from_pretrained(encoder.source, **MODEL_OPTIONS[EMBEDDED_CLASSIFIER]))
