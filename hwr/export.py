"""A trained model as one file for programs that know nothing of hwr: ONNX, torch.export or HDF5.

ONNX (https://onnx.ai) and torch.export (https://docs.pytorch.org/docs/stable/export.html) hold the network: glyphs
(N, 1, S, S) float32 in [0, 1], for any N, to scores (N, classes) float32 before softmax. TorchScript is not offered:
PyTorch has deprecated it in favour of torch.export. HDF5 (https://www.hdfgroup.org) holds the weights alone. Each file
carries what `facts` says of the model.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from hwr import models
from hwr.bundle import Card
from hwr.device import as_input
from hwr.errors import HwrError
from hwr.glyph import canonical_batch

Format = Literal["onnx", "torch-export", "hdf5"]

# How far a score may be from the model's. Other programs add in another order; float32 keeps about seven digits.
TOLERANCE = 1e-4

_BATCH = 256
_ALONE = 10  # so many are also scored one at a time, as programs do that read as one writes: one of each digit

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Export:
    """A model in another form, compared with the model that it comes from.

    Attributes:
        data: The file's bytes.
        kind: What it is, for people.
        glyphs: How many real glyphs were compared.
        difference: The largest difference of a score.
    """

    data: bytes
    kind: str
    glyphs: int
    difference: float


def export(model: nn.Module, card: Card, wanted: Format) -> Export:
    """Turn a model into a file's bytes, load these anew, and compare both on real glyphs.

    Args:
        model: A float32 network in evaluation mode, on the processor.
        card: Its card.
        wanted: The form of the file.

    Raises:
        HwrError: What the file holds does not answer as the model does.
    """
    write, read = _FORMATS[wanted]
    data, kind = write(model, card)
    glyphs = real_glyphs(card.size)
    return Export(data, kind, len(glyphs), compare(model, read(data), glyphs, kind))


def facts(card: Card) -> dict[str, str]:
    """What travels with a model, name to text.

    ``alphabet`` is a JSON list of the labels in the order of the scores, ``size`` the side of the glyphs in pixels,
    ``preprocessing`` how they are made, and ``card`` the whole card in JSON.
    """
    return {
        "alphabet": json.dumps(card.alphabet, ensure_ascii=False),
        "size": str(card.size),
        "preprocessing": card.preprocessing,
        "card": json.dumps(asdict(card), ensure_ascii=False),
    }


def real_glyphs(size: int) -> Tensor:
    """The 1,797 handwritten digits of scikit-learn as network input (N, 1, size, size) float32 in [0, 1]."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - help does not need it

    images = (load_digits().images * (255 / 16)).round().astype(np.uint8)
    return as_input(torch.from_numpy(canonical_batch(images, size)[0]))


@torch.inference_mode()
def compare(model: nn.Module, other: Network, glyphs: Tensor, kind: str) -> float:
    """Compare the scores of two networks, in batches and one glyph at a time.

    Args:
        model: The network that is right.
        other: The one in question.
        glyphs: Glyphs (N, 1, S, S) float32 in [0, 1].
        kind: What the other one is, for messages.

    Returns:
        The largest difference of a score.

    Raises:
        HwrError: A score differs by more than `TOLERANCE`, or a glyph's best label does.
    """
    batches, singles = torch.split(glyphs, _BATCH), torch.split(glyphs[:_ALONE], 1)
    expected = torch.cat([model(batch) for batch in batches])
    found, alone = (torch.cat([other(batch) for batch in cut]) for cut in (batches, singles))
    if found.shape != expected.shape or alone.shape != expected[:_ALONE].shape:
        raise HwrError(f"the {kind} file gives scores of shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    expected, found = torch.cat([expected, expected[:_ALONE]]), torch.cat([found, alone])
    difference = float((found - expected).abs().max())
    others = int((found.argmax(1) != expected.argmax(1)).sum())
    if others or not difference <= TOLERANCE:  # a difference may be no number
        raise HwrError(
            f"the {kind} file does not answer as its model does: scores differ by up to {difference:.1e}, where "
            f"{TOLERANCE:.0e} is allowed, and {others:,} of {len(found):,} answers do; nothing was written"
        )
    return difference


def _program(model: nn.Module, card: Card) -> torch.export.ExportedProgram:
    """The network as a graph, without what PyTorch notes of the source files, whose paths are this machine's."""
    example = torch.zeros(2, 1, card.size, card.size)  # of two: PyTorch takes an axis of one for a fixed one
    program = torch.export.export(model, (example,), dynamic_shapes=_ANY_NUMBER)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _write_onnx(model: nn.Module, card: Card) -> tuple[bytes, str]:
    import onnx  # noqa: PLC0415 - it takes a second, and the other formats do not need it

    exported = torch.onnx.export(
        _program(model, card), dynamic_shapes=_ANY_NUMBER, input_names=["glyphs"], output_names=["scores"],
        dynamo=True, verbose=False,
    )  # fmt: skip
    proto = cast(torch.onnx.ONNXProgram, exported).model_proto  # which is None only where a file is named
    onnx.helper.set_model_props(proto, facts(card))
    return proto.SerializeToString(), f"ONNX opset {proto.opset_import[0].version}"


def _read_onnx(data: bytes) -> Network:
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda glyphs: torch.from_numpy(session.run(["scores"], {"glyphs": glyphs.numpy()})[0])


def _write_torch_export(model: nn.Module, card: Card) -> tuple[bytes, str]:
    file = io.BytesIO()
    torch.export.save(_program(model, card), file, extra_files=facts(card))
    return file.getvalue(), f"torch.export of PyTorch {torch.__version__}"


def _read_torch_export(data: bytes) -> Network:
    return torch.export.load(io.BytesIO(data)).module()


def _write_hdf5(model: nn.Module, card: Card) -> tuple[bytes, str]:
    """One data set for each entry of the state dict, float32, and the facts as attributes of the file."""
    import h5py  # noqa: PLC0415

    state, file = model.state_dict(), io.BytesIO()
    with h5py.File(file, "w") as target:
        target.attrs.update(facts(card))
        for name, value in state.items():
            target.create_dataset(name, data=value.float().numpy())
    return file.getvalue(), f"HDF5 with {len(state)} data sets"


def _read_hdf5(data: bytes) -> Network:
    import h5py  # noqa: PLC0415

    with h5py.File(io.BytesIO(data)) as source:
        card = Card(**json.loads(source.attrs["card"]))
        weights = {name: torch.from_numpy(np.asarray(value)) for name, value in source.items()}
    model = models.build(card.architecture, card.size, len(card.alphabet))
    model.load_state_dict(weights)
    return model.eval()


_ANY_NUMBER = ({0: torch.export.Dim("N")},)

_FORMATS: dict[Format, tuple[Callable[[nn.Module, Card], tuple[bytes, str]], Callable[[bytes], Network]]] = {
    "onnx": (_write_onnx, _read_onnx),
    "torch-export": (_write_torch_export, _read_torch_export),
    "hdf5": (_write_hdf5, _read_hdf5),
}
