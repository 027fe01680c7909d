"""The formats by name: which source reads each, and what the flags of ingest mean for it."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

from hwr.alphabet import Alphabet, read_mapping
from hwr.archive import ENDINGS, Archive
from hwr.errors import InputError
from hwr.sources.base import Source
from hwr.sources.files import check_pattern
from hwr.sources.idx import Idx
from hwr.sources.image_csv import ImageCsv
from hwr.sources.image_folder import ImageFolder
from hwr.sources.numpy_arrays import NumpyArrays
from hwr.sources.parquet import ParquetImages
from hwr.sources.pixel_csv import PixelCsv
from hwr.storage import Folder, is_clutter

Format = Literal["image-folder", "image-csv", "pixel-csv", "emnist-csv", "idx", "emnist-idx", "numpy", "parquet"]

_TABLES = (".csv", ".csv.gz", ".csv.zip")


@dataclass(frozen=True)
class Raw:
    """Raw images, and how to read them; None where nothing is said.

    Attributes:
        source: A folder or a file, as a path or URI.
        images: The folder or archive that the paths in a CSV start from.
        alphabet: The name of an alphabet, or its characters: what class numbers count through, or which labels to take.
        mapping: A file that maps class numbers to characters; see `hwr.alphabet.read_mapping`.
        image_column: The name of the column with the images.
        label_column: The name of the column with the labels.
        writer_pattern: A regular expression whose first group finds the writer in a path.
    """

    source: str
    images: str | None = None
    alphabet: str | None = None
    mapping: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    writer_pattern: str | None = None

    @property
    def folder(self) -> Folder:
        """The source's folder, or the one that the source's file lies in.

        Raises:
            InputError: There is nothing.
        """
        return _located(self.source)[0]

    def files(self, *endings: str) -> tuple[str, ...]:
        """The source itself if it is a file, else the files of its folder that have such an ending.

        Raises:
            InputError: There are none, or one is there twice.
        """
        folder, file = _located(self.source)
        if file is not None:
            return (file,)
        found = tuple(name for name in folder.names() if name.lower().endswith(endings))
        if not found:
            raise InputError(f"{self.source} has no {' or '.join(endings)} files in it")
        twice = [name for name in found if f"{name}.gz" in found or f"{name}.zip" in found]
        if twice:
            raise InputError(f"{self.source} has {twice[0]} both plain and packed: remove one, or give one as --source")
        return found

    def characters(self) -> dict[int, str] | None:
        """What the class numbers mean, as far as the flags say it.

        Raises:
            InputError: They say it twice, or the mapping cannot be read.
        """
        if self.alphabet is not None and self.mapping is not None:
            raise InputError("--alphabet and --mapping both say what the class numbers mean: give one of them")
        if self.alphabet is not None:
            return dict(enumerate(Alphabet.parse(self.alphabet).labels))
        return _read_mapping(*Folder.file(self.mapping)) if self.mapping is not None else None

    def names(self) -> dict[str, str] | None:
        """Raw label to character: the character itself, or its class number, zero-padded or not."""
        characters = self.characters()
        if characters is None:
            return None
        if self.mapping is None:
            return {character: character for character in characters.values()}
        return {f"{number:0{width}d}": character for number, character in characters.items() for width in (1, 2, 3)}


def open_source(kind: Format, raw: Raw) -> Source:
    """The source that reads a format.

    Raises:
        InputError: The source is missing, or the flags do not go with the format or with each other.
    """
    opener, flags = _FORMATS[kind]
    for field in fields(raw)[1:]:
        if getattr(raw, field.name) is not None and field.name not in flags:
            raise InputError(f"--{field.name.replace('_', '-')} has no use with --format {kind}")
    if raw.writer_pattern is not None:
        check_pattern(raw.writer_pattern)
    return opener(raw)


def _image_folder(raw: Raw) -> Source:
    folder = Folder.open(raw.source)
    folder.require()
    return ImageFolder(folder, raw.names(), raw.writer_pattern)


def _image_csv(raw: Raw) -> Source:
    files = raw.files(".csv")
    if len(files) > 1:
        raise InputError(f"{raw.source} has {len(files)} CSV files: give one of them as --source")
    columns = (raw.image_column, raw.label_column, raw.writer_pattern)
    labels, folder = raw.names(), raw.folder
    if raw.images is not None:
        place, file = _located(raw.images)
        return ImageCsv(folder, files[0], Archive(place, file) if file is not None else place, labels, *columns)
    # Where nothing is said, the images lie beside the CSV, unpacked or in the only archive there.
    source = ImageCsv(folder, files[0], folder, labels, *columns)
    archives = [name for name in folder.names() if name.lower().endswith(ENDINGS)]
    if len(archives) == 1 and not source.finds_any():
        return ImageCsv(folder, files[0], Archive(folder, archives[0]), labels, *columns)
    return source


def _pixel_csv(raw: Raw) -> Source:
    return PixelCsv(raw.folder, raw.files(*_TABLES), _numbers(raw), raw.label_column)


def _emnist_csv(raw: Raw) -> Source:
    return PixelCsv(raw.folder, raw.files(*_TABLES), _emnist(raw), raw.label_column, transposed=True)


def _idx(raw: Raw) -> Source:
    return Idx(Folder.open(raw.source), _numbers(raw))


def _emnist_idx(raw: Raw) -> Source:
    return Idx(Folder.open(raw.source), _emnist(raw), transposed=True)


def _numpy(raw: Raw) -> Source:
    return NumpyArrays(raw.folder, raw.files(".npy", ".npz"), _numbers(raw))


def _parquet(raw: Raw) -> Source:
    folder, file = _located(raw.source)
    inside = (path for path, _ in folder.walk() if path.lower().endswith(".parquet")) if file is None else (file,)
    files = tuple(path for path in inside if not is_clutter(path))
    if not files:
        raise InputError(f"{raw.source} has no .parquet files in it")
    return ParquetImages(folder, files, raw.characters(), raw.image_column, raw.label_column)


_LABEL_FLAGS = frozenset({"alphabet", "mapping"})
_COLUMN_FLAGS = frozenset({"image_column", "label_column"})

_FORMATS: dict[str, tuple[Callable[[Raw], Source], frozenset[str]]] = {
    "image-folder": (_image_folder, _LABEL_FLAGS | {"writer_pattern"}),
    "image-csv": (_image_csv, _LABEL_FLAGS | _COLUMN_FLAGS | {"images", "writer_pattern"}),
    "pixel-csv": (_pixel_csv, _LABEL_FLAGS | {"label_column"}),
    "emnist-csv": (_emnist_csv, _LABEL_FLAGS | {"label_column"}),
    "idx": (_idx, _LABEL_FLAGS),
    "emnist-idx": (_emnist_idx, _LABEL_FLAGS),
    "numpy": (_numpy, _LABEL_FLAGS),
    "parquet": (_parquet, _LABEL_FLAGS | _COLUMN_FLAGS),
}


def _numbers(raw: Raw) -> dict[int, str]:
    """What class numbers mean: digits, if nothing else is said."""
    return raw.characters() or dict(enumerate(Alphabet.parse("digits").labels))


def _emnist(raw: Raw) -> dict[int, str]:
    """The characters of an EMNIST set, from the mapping file that lies beside it if nothing else is said."""
    said = raw.characters()
    if said is not None:
        return said
    found = [name for name in raw.folder.names() if name.endswith("-mapping.txt")]
    if not found:
        raise InputError(f"{raw.source} has no *-mapping.txt: give one with --mapping, or --alphabet emnist47")
    if len(found) > 1:
        raise InputError(f"{raw.source} has {len(found)} mapping files: say which with --mapping")
    return _read_mapping(raw.folder, found[0])


def _read_mapping(folder: Folder, name: str) -> dict[int, str]:
    if not folder.has(name):
        raise InputError(f"there is no mapping file {folder.path}/{name}")
    try:
        return read_mapping(folder.read_bytes(name).decode("utf-8-sig"), name)
    except UnicodeDecodeError:
        raise InputError(f"{name} is not a text file") from None


def _located(location: str) -> tuple[Folder, str | None]:
    """A folder, or the folder and name of a file.

    Raises:
        InputError: There is neither.
    """
    folder, name = Folder.file(location)
    if name and folder.has(name):
        return folder, name
    folder = Folder.open(location)
    folder.require()
    return folder, None
