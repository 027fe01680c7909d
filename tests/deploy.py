"""What the tests of the files under cluster/ share."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = ROOT / "cluster"


def release(package: str) -> str:
    """The release of a package that constraints.txt names."""
    (found,) = re.findall(rf"^{package}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE | re.IGNORECASE)
    return found


def closed(schema: Any) -> Any:
    """The same JSON schema, in which every object that names its properties takes no others."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    rules = {key: closed(part) for key, part in schema.items() if key != "properties"}
    if "properties" in schema:
        rules["properties"] = {name: closed(part) for name, part in schema["properties"].items()}
        if "patternProperties" not in schema:
            rules["additionalProperties"] = False
    return rules


def changed(document: Any, path: tuple[str | int, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy of a document in which one entry was changed: by a function of what holds it, and its key there."""
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    change(place, path[-1])
    return copy


def misspelt(place: Any, key: str) -> None:
    """Give a key a letter too many."""
    place[f"{key}x"] = place.pop(key)


def every(document: Any, key: str) -> list[Any]:
    """All that stands under a key, anywhere in a document."""
    if isinstance(document, list):
        return [found for part in document for found in every(part, key)]
    if not isinstance(document, dict):
        return []
    here = [document[key]] if key in document else []
    return here + [found for part in document.values() for found in every(part, key)]


def manifests(name: str = "*") -> list[dict[str, Any]]:
    """The objects in the files for Kubernetes, or in one of them."""
    files = sorted((CLUSTER / "kubernetes").glob(f"{name}.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def ray_cluster(manifest: dict[str, Any]) -> dict[str, Any]:
    """The Ray cluster that a RayCluster is, or that a RayJob makes."""
    spec: dict[str, Any] = manifest["spec"]
    return spec.get("rayClusterSpec", spec)


def installs(folder: Path) -> set[str]:
    """What the package that is built from a folder would install: paths of its files."""
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "."]
    subprocess.run([sys.executable, *command, "."], cwd=folder, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("hwr-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        return {name for name in packed.namelist() if ".dist-info/" not in name}


def sources() -> set[str]:
    """The files of the two packages that git knows, as paths from the project's root."""
    listed = subprocess.run(
        ["git", "ls-files", "hwr", "pipelines"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(listed.stdout.split())
