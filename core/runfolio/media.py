"""Figures, images, tables and texts, turned into files that every tool opens."""

from __future__ import annotations

import io
import json
import mimetypes
from pathlib import Path
from typing import Any, Final, NamedTuple

from runfolio.errors import InvalidValueError, MissingDependencyError
from runfolio.names import validate_path

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"


class Encoded(NamedTuple):
    """Contents of a file, its suffix and its media type."""

    data: bytes
    suffix: str
    media_type: str


def figure(value: Any) -> Encoded:
    """Encode a Matplotlib figure (or its axes, or a seaborn grid) as PNG, a Plotly figure as its JSON.

    Raises:
        InvalidValueError: it is neither.
    """
    if callable(getattr(value, "to_plotly_json", None)) and callable(getattr(value, "to_json", None)):
        return Encoded(value.to_json().encode(), ".plotly.json", "application/vnd.plotly.v1+json")
    drawn = value if callable(getattr(value, "savefig", None)) else getattr(value, "figure", None)
    save = getattr(drawn, "savefig", None)
    if callable(save):
        out = io.BytesIO()
        save(out, format="png", bbox_inches="tight")
        return Encoded(out.getvalue(), ".png", "image/png")
    raise InvalidValueError(
        f"{type(value).__name__} is no figure: give a Matplotlib or Plotly figure, or use run.log_image"
    )


def image(value: Any) -> Encoded:
    """Encode an image: a Pillow image, an array of shape (H, W), (H, W, 3) or (H, W, 4), PNG or JPEG bytes.

    Arrays hold uint8, bool, or floats from 0 to 1.

    Raises:
        InvalidValueError: it is none of these.
        MissingDependencyError: arrays need Pillow.
    """
    if isinstance(value, (bytes, bytearray)):
        if value.startswith(_PNG):
            return Encoded(bytes(value), ".png", "image/png")
        if value.startswith(_JPEG):
            return Encoded(bytes(value), ".jpg", "image/jpeg")
        raise InvalidValueError("These bytes are neither PNG nor JPEG: use run.log_bytes(name, data) for other files")
    drawn = value if callable(getattr(value, "save", None)) and hasattr(value, "mode") else _from_array(value)
    out = io.BytesIO()
    drawn.save(out, format="PNG")
    return Encoded(out.getvalue(), ".png", "image/png")


def _from_array(value: Any) -> Any:
    shape = tuple(getattr(value, "shape", ()))
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):  # noqa: PLR2004 (grey, or colours last)
        raise InvalidValueError(
            f"{type(value).__name__} of shape {shape} is no image: "
            "give a Pillow image, or an array of shape (H, W), (H, W, 3) or (H, W, 4)"
        )
    try:
        from PIL import Image  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise MissingDependencyError(
            "An array is drawn with Pillow, which is not installed: pip install pillow"
        ) from error
    kind = str(getattr(value, "dtype", ""))
    if "float" in kind:
        value = (value * 255).clip(0, 255)
    elif kind == "bool":
        value = value * 255
    if len(shape) == 3 and shape[2] == 1:  # noqa: PLR2004
        value = value[:, :, 0]
    return Image.fromarray(value.astype("uint8"))


def table(value: Any) -> Encoded:
    """Encode a table as Parquet.

    It may be a pandas or Polars frame, anything with the Arrow C stream, a mapping of columns, or a list of records.

    Raises:
        InvalidValueError: it is no table.
    """
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        if isinstance(value, list):
            arrow = pa.Table.from_pylist(value)
        elif isinstance(value, pa.Table):
            arrow = value
        else:
            arrow = pa.table(value)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidValueError(f"{type(value).__name__} cannot become a table: {error}") from error
    out = io.BytesIO()
    pq.write_table(arrow, out, compression="zstd")
    return Encoded(out.getvalue(), ".parquet", "application/vnd.apache.parquet")


def text(value: object) -> Encoded:
    """Encode a text as UTF-8, a mapping or list as JSON.

    Raises:
        InvalidValueError: it is neither.
    """
    if isinstance(value, str):
        return Encoded(value.encode("utf-8", "surrogatepass"), ".txt", "text/plain; charset=utf-8")
    if isinstance(value, (dict, list)):
        return Encoded(
            json.dumps(value, ensure_ascii=False, indent=2, default=str).encode(), ".json", "application/json"
        )
    raise InvalidValueError(f"{type(value).__name__} is no text: give a str, or a dict or list to be stored as JSON")


def file_path(name: str, suffix: str = "", step: int | None = None) -> str:
    """Return the artifact path of something logged under a name: below ``outputs/``, with a suffix, one file a step.

    ``("roc", ".png", None)`` gives ``outputs/roc.png``; with step 3, ``outputs/roc/3.png``.

    Raises:
        InvalidKeyError: the name is no path.
    """
    path = name if name.startswith(("outputs/", "logs/")) else f"outputs/{name}"
    stem = path.removesuffix(suffix) if suffix else path
    if step is not None:
        return validate_path(f"{stem}/{step}{suffix}")
    known = not suffix or path.endswith(suffix) or (suffix == ".txt" and "." in path.rsplit("/", 1)[1])
    return validate_path(path if known else f"{path}{suffix}")


def media_type(path: str | Path) -> str | None:
    """Guess the media type of a file by its name."""
    return mimetypes.guess_type(str(path))[0]
