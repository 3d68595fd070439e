"""A BERT classifier without padding: the tokens of all texts of a batch are the rows of one matrix.

Texts of a batch differ in length, and padding them to the longest takes a third of the time of a training on real
messages (docs/LOG.md). All layers except attention process each token separately; attention is computed for each text.
The last layer computes only the first token of each text, because the head uses only that. Logits and gradients are
those of the unpacked model.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention


def can_pack(config: Any) -> bool:
    """Whether ``Packed`` gives the same results as a classifier with this transformers config.

    False with dropout: its random numbers would apply to other tokens, and the scores of a seed would change.
    """
    if config.model_type != "bert" or config.is_decoder:
        return False
    return not (config.hidden_dropout_prob or config.attention_probs_dropout_prob or config.classifier_dropout)


def collate(items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Tokenized texts as a batch for ``Packed``; with ``labels`` if the texts have them."""
    lengths = [len(item["input_ids"]) for item in items]
    batch = {
        "input_ids": torch.tensor([token for item in items for token in item["input_ids"]]),
        "position_ids": torch.cat([torch.arange(length) for length in lengths]),
        "lengths": torch.tensor(lengths),
    }
    if "labels" in items[0]:
        batch["labels"] = torch.tensor([item["labels"] for item in items])
    return batch


class Packed(torch.nn.Module):  # type: ignore[misc]  # torch is not checked
    """Gives the same results as ``model``, a ``BertForSequenceClassification``, and shares its parameters."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """``logits`` (texts, labels) of texts with ``lengths`` (texts,) tokens; other arguments are (all tokens,)."""
        sizes = lengths.tolist()
        bert = self.model.bert
        *layers, last = bert.encoder.layer
        hidden = bert.embeddings(input_ids=input_ids[None], position_ids=position_ids[None])[0]
        for layer in layers:
            hidden = _apply(layer, hidden, sizes, hidden, sizes)
        first = hidden[lengths.cumsum(0) - lengths]
        first = _apply(last, first, [1] * len(sizes), hidden, sizes)
        return {"logits": self.model.classifier(bert.pooler(first[:, None]))}


def _apply(layer: Any, hidden: torch.Tensor, sizes: list[int], seen: torch.Tensor, seen_sizes: list[int]) -> Any:
    """A layer's output (tokens, width) for ``hidden`` of the same shape, which has ``sizes`` tokens of each text. They
    attend to the text's tokens in ``seen``.
    """
    attention = layer.attention.self
    heads = (-1, attention.num_attention_heads, attention.attention_head_size)
    queries = attention.query(hidden).view(heads).split(sizes)
    keys = attention.key(seen).view(heads).split(seen_sizes)
    values = attention.value(seen).view(heads).split(seen_sizes)
    attended = [
        scaled_dot_product_attention(*(part.transpose(0, 1)[None] for part in text))[0].transpose(0, 1).flatten(1)
        for text in zip(queries, keys, values, strict=True)
    ]
    between = layer.attention.output(torch.cat(attended), hidden)
    return layer.output(layer.intermediate(between), between)
