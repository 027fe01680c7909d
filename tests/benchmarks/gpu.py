"""How fast training is on a GPU; without Ray, so that PyTorch is enough: ``python -m tests.benchmarks.gpu``."""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from hwr.augment import AugmentConfig
from tests.benchmarks.loops import BATCH, ours, real, turns
from tests.benchmarks.real import ALL

# Seeds, settings and figures may go to the device in each step; a batch of glyphs is twice this.
SMALL = 100_000


def main(device: torch.device) -> None:
    """Time an epoch of GlyphNet in memory, and look at what another one copies."""
    if device.type == "cuda" and not torch.cuda.is_available():
        print("gpu: left out, since PyTorch sees no GPU here")
        return
    glyphs = real(ALL, device)
    mine, plain = turns("glyphnet", glyphs, AugmentConfig())
    print(f"gpu: {len(glyphs) / mine:.2f} s for an epoch of {len(glyphs):,} glyphs (wanted: less than 1 s)")
    print(f"gpu: {mine / plain:.2f} x the images/s of a bare loop (wanted: 0.5): {mine:,.0f} and {plain:,.0f}")
    epochs = ours("glyphnet", glyphs, glyphs[:BATCH], 2, AugmentConfig())
    next(epochs)
    sizes = copies(lambda: next(epochs))
    verdict = "stay on the device" if max(sizes, default=0) <= SMALL else "DO NOT stay on the device"
    steps = len(glyphs) // BATCH
    print(f"gpu: glyphs {verdict}: {len(sizes)} copies to it in {steps} steps, of {max(sizes, default=0):,} B at most")


def copies(work: Callable[[], object]) -> list[int]:
    """The bytes of each copy from the host to the GPU while something is done."""
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        work()
    with tempfile.TemporaryDirectory() as top:
        # Only the trace that is meant for browsers tells the sizes.
        file = Path(top, "trace.json")
        seen.export_chrome_trace(str(file))
        events = json.loads(file.read_text(encoding="utf-8"))["traceEvents"]
    return [event["args"]["bytes"] for event in events if event["name"].startswith("Memcpy HtoD")]


if __name__ == "__main__":
    main(torch.device(sys.argv[1] if sys.argv[1:] else "cuda"))
