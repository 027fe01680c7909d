"""What somebody would write without this project, each as one process: ``python -m tests.benchmarks.peers NAME …``."""

import csv
import itertools
import logging
import multiprocessing
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from hwr.decode import decode
from hwr.glyph import canonical

CELLS = 785


def pandas_savez(table: str, out: str) -> None:
    """The notebook's way: all of a table of pixels through pandas into one .npz file."""
    values = pd.read_csv(table, header=None).to_numpy()
    np.savez(f"{out}.npz", images=values[:, 1:].astype(np.uint8), labels=values[:, 0])


def arrow_twice(table: str, out: str) -> None:
    """Two bare processes, each with half of a table of pixels, from Arrow's CSV reader to Parquet."""
    size = os.path.getsize(table)
    with open(table, "rb") as file:
        file.seek(size // 2)
        file.readline()
        middle = file.tell()
    _two(_arrow_half, [(table, f"{out}-0.parquet", 0, middle), (table, f"{out}-1.parquet", middle, size)])


def _arrow_half(table: str, out: str, start: int, end: int) -> None:
    pa.set_cpu_count(1)
    names = [str(number) for number in range(CELLS)]
    with open(table, "rb") as file, pa.PythonFile(_Half(file, start, end), "r") as half:
        reader = pyarrow.csv.open_csv(
            half,
            pyarrow.csv.ReadOptions(use_threads=False, column_names=names, block_size=1 << 23),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.uint8())),
        )
        with pq.ParquetWriter(out, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)


class _Half:
    """A stretch of a file, as a file."""

    closed = False

    def __init__(self, file, start, end):
        file.seek(start)
        self._file, self._left = file, end - start

    def read(self, size=-1):
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def close(self):
        self._left = 0


def canonical_twice(folder: str, out: str) -> None:
    """Two bare processes that decode and canonicalise every second image of a CSV and a zip each."""
    _two(_canonical_half, [(folder, f"{out}-{half}.npy", half) for half in range(2)])


def _canonical_half(folder: str, out: str, half: int) -> None:
    archive = zipfile.ZipFile(Path(folder, "Img.zip"))
    with open(Path(folder, "english.csv"), newline="") as table:
        paths = [row["image"] for row in itertools.islice(csv.DictReader(table), half, None, 2)]
    np.save(out, np.stack([canonical(decode(archive.read(path))) for path in paths]))


def ray_read_images(folder: str, out: str) -> None:
    """Ray Data's own reader of image folders, into Parquet."""
    import ray  # noqa: PLC0415 - the other peers do without

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.read_images(folder, mode="L", include_paths=True).write_parquet(out)


def _two(work, jobs) -> None:
    processes = [multiprocessing.Process(target=work, args=job) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError(f"a half ended with {process.exitcode}")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
