"""When a folder is complete, and whose it is.

A job claims its output folder with ``config.json`` before it writes anything else, and ends by writing
``manifest.json``. So a folder with a manifest is complete, one with only a config can be resumed by the same
command, and a folder with neither belongs to somebody else.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import hwr
from hwr import schema
from hwr.errors import InputError, OutputError
from hwr.storage import Folder

CONFIG = "config.json"
MANIFEST = "manifest.json"

# For each kind of folder, the job that makes it and the facts that its manifest must have, with the form of each.
_KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "samples": (
        "ingest", {"fingerprint": str, "size": int, "files": [{"name": str}], "counts": {"splits": dict}},
    ),
    "run": ("train", {"fingerprint": str, "metrics": dict}),
    "predictions": (
        "label",
        {"fingerprint": str, "files": [{"name": str, "rows": int}], "counts": dict, "model": str, "alphabet": [str],
         "size": int, "images": {"location": str}},
    ),
    "report": ("evaluate", {"headline": str, "fingerprint": str}),
}  # fmt: skip


class Claim(Enum):
    """What a job finds in its output folder."""

    NEW = "new"
    RESUMED = "resumed"
    COMPLETE = "complete"


def claim(out: Folder, kind: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> Claim:
    """Take an output folder for one job, or find that the same job has had it before.

    Args:
        out: The output folder.
        kind: What the job makes: ``samples``, ``run``, ``predictions`` or ``report``.
        settings: What decides the result, as JSON; settings that only decide where it is computed stay out.
        inputs: Name to fingerprint of what the job reads, so that changed inputs are noticed.

    Raises:
        OutputError: The folder holds something else, or the same job with other settings or inputs.
    """
    wanted = {"kind": kind, "settings": _plain(settings), "inputs": dict(inputs)}
    if not out.has(CONFIG):
        if not out.is_empty():
            raise OutputError(f"{out.name} exists and was not made by hwr: choose another --out")
        out.write_json(CONFIG, {"hwr": hwr.__version__, **wanted})
        return Claim.NEW
    found = out.read_json(CONFIG)
    if not isinstance(found.get("settings"), dict) or not isinstance(found.get("inputs"), dict):
        raise OutputError(f"{out.name}/{CONFIG} is damaged: choose another --out, or remove the folder")
    if found.get("kind") != kind:
        raise OutputError(f"{out.name} holds a {found.get('kind')} folder, not {kind}: choose another --out")
    _same(out, found["settings"], wanted["settings"])
    if found["inputs"] != wanted["inputs"]:
        changed = sorted(k for k in {**found["inputs"], **inputs} if found["inputs"].get(k) != inputs.get(k))
        raise OutputError(f"{out.name} was made from other content of {', '.join(changed)}: choose another --out")
    return Claim.COMPLETE if out.has(MANIFEST) else Claim.RESUMED


def complete(out: Folder, kind: str, facts: Mapping[str, Any]) -> None:
    """Clear away what killed processes left and write the manifest, last of all, which makes the folder complete."""
    out.sweep()
    out.write_json(MANIFEST, {"kind": kind, "version": schema.VERSION, "hwr": hwr.__version__, **facts})


def require(folder: Folder, kind: str) -> dict[str, Any]:
    """The manifest of a complete folder.

    Raises:
        InputError: The folder is missing, unfinished, damaged, of another kind, or of a contract version not known
            here.
    """
    job, needed = _KINDS[kind]
    if folder.is_empty():
        raise InputError(f"{folder.name} does not exist or is empty: make it with hwr {job}")
    if not folder.has(MANIFEST):
        if not folder.has(CONFIG):
            raise InputError(f"{folder.name} has no {MANIFEST}: it is not a folder that hwr {job} made")
        raise InputError(
            f"{folder.name} has no {MANIFEST}: its {job} did not finish; "
            f"run the same hwr {job} command again to resume it"
        )
    manifest = folder.read_json(MANIFEST)
    if manifest.get("kind") != kind:
        raise InputError(f"{folder.name} holds a {manifest.get('kind')} folder, but {kind} is needed here")
    if manifest.get("version") != schema.VERSION:
        raise InputError(
            f"{folder.name} follows version {manifest.get('version')} of the contract and this hwr knows version "
            f"{schema.VERSION}: make it anew with this hwr {job}"
        )
    missing = [fact for fact in needed if fact not in manifest]
    if missing:
        raise InputError(f"{folder.name}/{MANIFEST} is damaged: it lacks {', '.join(missing)}")
    wrong = [fact for fact, form in needed.items() if not _has_form(manifest[fact], form)]
    if wrong:
        raise InputError(f"{folder.name}/{MANIFEST} is damaged: hwr {job} does not write such {', '.join(wrong)}")
    return manifest


def fingerprint(*parts: bytes) -> str:
    """A short content hash (BLAKE2b, 16 hexadecimal digits) of bytes, sensitive to their boundaries."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with names such as ``recipe.epochs``."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= {f"{key}.{name}": inner for name, inner in flat(value).items()}
        else:
            found[key] = value
    return found


def _has_form(value: Any, form: Any) -> bool:
    """Whether JSON is of a type, a list of a form, or an object whose fields have at least these forms."""
    if isinstance(form, list):
        return isinstance(value, list) and all(_has_form(one, form[0]) for one in value)
    if isinstance(form, dict):
        return isinstance(value, dict) and all(name in value and _has_form(value[name], form[name]) for name in form)
    return isinstance(value, form)


def _plain(settings: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(settings))


def _same(out: Folder, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    found, wanted = flat(found), flat(wanted)
    for key in sorted({**found, **wanted}):
        if found.get(key) != wanted.get(key):
            raise OutputError(
                f"{out.name} was made with {key}={_shown(found.get(key))}, not {_shown(wanted.get(key))}: "
                "choose another --out, or remove the folder"
            )


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
