"""Image files -> grey pictures, with every way a file can be bad told apart."""

import io
import re
import struct
import warnings
import zlib

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from hwr.errors import Reject, RejectError, one_line

Grey = npt.NDArray[np.uint8]

MAX_PIXELS = 50_000_000
MAX_BYTES = 1 << 29  # ten bytes for each of these pixels: no sound file is larger
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")

_PNG = b"\x89PNG\r\n\x1a\n"
_MAGIC = (_PNG, b"\xff\xd8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF87a", b"GIF89a", b"RIFF")
# Of a PNG that OpenCV may read: depth, colour type (grey, RGB), compression, filter, interlacing; and chunks.
_PLAIN_TYPES = (b"\x08\0\0\0\0", b"\x08\x02\0\0\0")
_PLAIN_CHUNKS = re.compile(rb"IHDR(pHYs|tIME|tEXt)*(IDAT)+(pHYs|tIME|tEXt)*IEND")


def decode(data: bytes) -> Grey:
    """Decode one image file to grey.

    EXIF rotation is applied, 16-bit and palette pictures are brought to 8-bit grey, transparency is laid on white
    (on black, where white would hide the ink), and an animation gives its first frame.

    Args:
        data: The bytes of a PNG, JPEG, TIFF, BMP, GIF or WebP file.

    Returns:
        Image (H, W) uint8, 0 black to 255 white.

    Raises:
        RejectError: ``empty``, ``not-an-image``, ``corrupt``, or ``too-large`` (over `MAX_PIXELS`, read from the header
            before anything is decoded).
    """
    if not data:
        raise RejectError(Reject("empty", "0 bytes"))
    fast = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if _is_plain_png(data) else None
    if fast is not None:
        return np.asarray(fast, np.uint8)
    # The filters hold for this block only. A file with odd metadata still has its picture, so PIL's remarks on it are
    # dropped; its warning about a bomb (below its own, higher, limit for an error) must not be.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _decode_any(data)
        except RejectError:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise RejectError(Reject("too-large", one_line(error))) from error
        except UnidentifiedImageError as error:
            if data.startswith(_MAGIC):
                raise RejectError(Reject("corrupt", "the header of the file is broken")) from error
            raise RejectError(Reject("not-an-image", f"none of {', '.join(FORMATS)}")) from error
        except Exception as error:  # decoders of broken bytes raise whatever they stumble over
            raise RejectError(Reject("corrupt", one_line(error))) from error


def _decode_any(data: bytes) -> Grey:
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            found = f"{picture.width} x {picture.height} pixels, more than {MAX_PIXELS:,}"
            raise RejectError(Reject("too-large", found))
        picture.draft("L", picture.size)  # a JPEG then decodes its brightness only; others ignore it
        picture.load()
        grey = _to_grey(picture)
        orientation = _orientation(picture)
    if orientation > 1:
        grey.getexif()[0x0112] = orientation
        ImageOps.exif_transpose(grey, in_place=True)
    return np.array(grey, np.uint8)


def _orientation(picture: Image.Image) -> int:
    try:
        found = picture.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001 - broken metadata is no reason to refuse the picture
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _to_grey(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        return _flatten(picture.convert("RGBA"))
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):  # 32-bit scans have no fixed range
        values = np.nan_to_num(np.asarray(picture, np.float64), posinf=0, neginf=0)
        low, high = values.min(), values.max()
        return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    return picture.convert("RGB").convert("L")


def _flatten(picture: Image.Image) -> Image.Image:
    """Lay RGBA on white; on black where the ink is so light that white would swallow it."""
    grey, alpha = picture.convert("RGB").convert("L"), picture.getchannel("A")
    on_white, on_black = (Image.composite(grey, Image.new("L", grey.size, paper), alpha) for paper in (255, 0))
    white_range, black_range = (int(np.ptp(np.asarray(page))) for page in (on_white, on_black))
    return on_black if black_range > 2 * white_range else on_white


def _is_plain_png(data: bytes) -> bool:
    """Whether OpenCV, twice as quick, is certain to agree with PIL: 8-bit grey or RGB, sound, little but pixels.

    Agree they do to 1 grey level: one rounds the sum of red, green and blue, the other cuts it off. Where the pixels
    themselves are broken OpenCV gives nothing, and PIL says why.
    """
    if not 57 <= len(data) <= 1 << 24 or data[:16] != _PNG + b"\0\0\0\rIHDR" or data[24:29] not in _PLAIN_TYPES:
        return False
    width, height = struct.unpack_from(">II", data, 16)
    if not 0 < width * height <= MAX_PIXELS:
        return False
    kinds, at, view = [], 8, memoryview(data)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return False
        kind = data[at + 4 : at + 8]
        if (kind == b"pHYs" and length != 9) or (kind == b"tEXt" and data[at + 8 : at + 11] == b"Raw"):
            return False  # PIL refuses the one, and finds EXIF in "Raw profile type exif" of the other
        kinds.append(kind)
        at = end + 4
    return at == len(data) and _PLAIN_CHUNKS.fullmatch(b"".join(kinds)) is not None
