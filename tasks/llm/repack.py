"""Converts a model's weights to a format that llama.cpp multiplies in batches on a CPU.

llama.cpp has no batched kernel for Q4_1, the format of the packaged model, so reading prompts is as slow as writing.
Q8_0 keeps the same values with an error of at most 1 part in 250 and takes 0.6 of the CPU time (docs/LOG.md).
"""

from pathlib import Path
from typing import Any

from tasks.files import make_folder, replacing


def repack(source: Path, target: Path) -> Path:
    """Write ``source`` with its matrices as Q8_0 to ``target``, unless that exists; returns ``target``.

    This takes seconds.
    """
    if not target.exists():
        make_folder(target.parent)
        with replacing(target) as draft:
            _write(source, draft)
    return target


def _write(source: Path, target: Path) -> None:
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name not in ("general.architecture", "general.file_type"):
            listed = field.types[0] == gguf.GGUFValueType.ARRAY
            writer.add_key_value(field.name, field.contents(), field.types[0], field.types[-1] if listed else None)
    for tensor in reader.tensors:
        _copy(gguf, writer, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy(gguf: Any, writer: Any, tensor: Any) -> None:
    kinds = gguf.GGMLQuantizationType
    if tensor.tensor_type in (kinds.F32, kinds.Q8_0):
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    else:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, kinds.Q8_0), raw_dtype=kinds.Q8_0)
