"""How networks run fast on a device: layout and arithmetic."""

import platform
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["auto", "bf16", "float32"]


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which a network runs on a device: bf16 where its hardware has it, else plain float32.

    On a processor with bf16 units the networks here train and infer about twice as fast under bf16; on one without
    them bf16 is emulated and far slower, so ``auto`` looks at the hardware.
    """
    wanted = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device, its weights channels last: the layout in which convolutions run fastest."""
    return model.to(device).to(memory_format=torch.channels_last)


def as_input(glyphs: Tensor) -> Tensor:
    """Glyphs (N, S, S) uint8 as network input (N, 1, S, S) float32 in [0, 1], channels last."""
    return glyphs.unsqueeze(1).float().div_(255).contiguous(memory_format=torch.channels_last)


def as_glyphs(images: Tensor) -> Tensor:
    """The other way: (N, 1, S, S) float in [0, 1] as glyphs (N, S, S) uint8."""
    return images.squeeze(1).mul(255).round_().to(torch.uint8)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _processor_has_bf16()


def _processor_has_bf16() -> bool:
    """Read the processor's flags as Linux lists them; PyTorch's own test is not public."""
    if platform.system() != "Linux":
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return "amx_bf16" in flags or "avx512_bf16" in flags
