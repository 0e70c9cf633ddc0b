# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed layers: a take's layer with the key of all that it was made from, and the hashes of all its files.

``layers/NAME/layer.json`` is written last, so a layer has one or is not finished. Latents lie beside the layers, in
``latents/NAME.safetensors``. ``kept/`` in a take has the same two folders, with what was taken over from another shot.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LucidError
from .paths import check_relative
from .store import disk_error, read_json, sha256_file, write_json
from .takes import Take, list_takes

SCHEMA = "lucid.layer/1"
SEAL = "layer.json"
LATENTS = "latents.safetensors"         # what a layer's latents are called among its files
KEPT = "kept"
_HINT = "generate a new take"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SealedLayer:
    """A finished layer in ``folder``. ``files``: each one's sha256, by its path below ``folder``, and LATENTS for the latents."""

    folder: Path
    key: str
    files: dict[str, str]

    def path(self, name: str) -> Path:
        """Where the file called ``name`` in ``files`` is."""
        return latents_path(self.folder) if name == LATENTS else self.folder / name


@dataclass(frozen=True)
class Found:
    """A verified layer and the number of the take it was found in; None: in what was kept of another shot."""

    layer: SealedLayer
    take: int | None


def layer_path(root: Path, name: str) -> Path:
    """The folder of the layer whose folder name is ``name``, below a take or its ``kept`` folder."""
    return root / "layers" / name


def latents_path(folder: Path) -> Path:
    """The latents of the layer in ``folder``."""
    return folder.parents[1] / "latents" / f"{folder.name}.safetensors"


def seal_layer(take: Take, name: str, key: str) -> SealedLayer:
    """Hash all that the layer with the folder name ``name`` has written and write its seal. Raises DISK_WRITE, and
    LAYER_CHANGED where it has written nothing."""
    folder = layer_path(take.folder, name)
    try:
        files = {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*"))
                 if path.is_file() and path.name != SEAL and not path.name.startswith(".")}
        if latents_path(folder).is_file():
            files[LATENTS] = sha256_file(latents_path(folder))
    except OSError as error:
        raise disk_error(folder, error) from error
    if not files:
        raise LucidError("LAYER_CHANGED", f"{folder} has no files to seal", _HINT)
    sealed = SealedLayer(folder, key, files)
    _write(sealed)
    return sealed


def sealed_layer(take: Take, name: str) -> SealedLayer | None:
    """The layer with the folder name ``name``; None where it is not finished. Raises LAYER_CHANGED for a seal that no Lucid up
    to this one wrote."""
    return _read(layer_path(take.folder, name))


def verify(sealed: SealedLayer) -> None:
    """Every file of the layer is what was sealed, and lies where it should. Raises LAYER_CHANGED."""
    roots = sealed.folder.resolve(), latents_path(sealed.folder).parent.resolve()
    for name, digest in sealed.files.items():
        path = sealed.path(name)
        try:
            here = path.is_file() and path.resolve().is_relative_to(roots[name == LATENTS])
            same = here and sha256_file(path) == digest
        except OSError as error:
            raise LucidError("LAYER_CHANGED", f"{path} cannot be read: {error.strerror or error}", _HINT) from error
        if not same:
            raise LucidError("LAYER_CHANGED", f"{path} is {'not what was painted' if here else 'missing'}", _HINT)


def find_layer(shot_folder: Path, key: str, name: str, *, kept: Path | None = None) -> tuple[Found | None, list[str]]:
    """The newest whole layer with this key and folder name in the shot's takes, else in ``kept``; and a note for each that is
    damaged and so was passed over."""
    notes: list[str] = []
    roots: list[tuple[int | None, Path]] = [(take.number, take.folder) for take in reversed(list_takes(shot_folder))]
    for number, root in [*roots, *([(None, kept)] if kept is not None else [])]:
        try:
            layer = _read(layer_path(root, name))
            if layer is None or layer.key != key:
                continue
            verify(layer)
        except LucidError as error:
            whose = "of the take this one is like" if number is None else f"of take {number}"
            notes.append(f"the layer '{name}' {whose} is passed over: {error.text}")
            continue
        return Found(layer, number), notes
    return None, notes


def copy_layer(source: Path, take: Take, name: str) -> SealedLayer:
    """Copy the sealed layer in the folder ``source`` to the folder name ``name`` of a take, its seal last; what an unfinished run
    left there goes. The copy is hashed again. Raises LAYER_CHANGED, DISK_WRITE."""
    layer = _read(source)
    if layer is None:
        raise LucidError("LAYER_CHANGED", f"{source} is not finished: it has no {SEAL}", _HINT)
    return _copy(layer, layer_path(take.folder, name))


def keep_layers(take: Take, other: Take) -> list[str]:
    """Copy the whole layers of a take of another shot into ``kept``, where :func:`find_layer` sees them; a note for each that is
    damaged. Raises DISK_WRITE."""
    notes = []
    for folder in _layer_folders(other.folder):
        target = layer_path(take.folder / KEPT, folder.name)
        try:
            layer = _read(folder)
            if layer is not None:
                _copy(layer, target)
        except LucidError as error:
            if error.code != "LAYER_CHANGED":
                raise
            shutil.rmtree(target, ignore_errors=True)       # without its seal it would not be found anyway
            notes.append(f"the layer '{folder.name}' of {other.folder} is not kept: {error.text}")
    return notes


def _copy(layer: SealedLayer, folder: Path) -> SealedLayer:
    copy = SealedLayer(folder, layer.key, layer.files)
    try:
        if folder.resolve() == layer.folder.resolve():
            verify(layer)
            return layer
        if folder.exists():
            shutil.rmtree(folder)
        latents_path(folder).unlink(missing_ok=True)
        for file in layer.files:
            copy.path(file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(layer.path(file), copy.path(file))
    except FileNotFoundError as error:
        raise LucidError("LAYER_CHANGED", f"{error.filename} is missing", _HINT) from error
    except OSError as error:
        raise disk_error(folder, error) from error
    verify(copy)
    _write(copy)
    return copy


def _write(layer: SealedLayer) -> None:
    write_json(layer.folder / SEAL, {"schema": SCHEMA, "key": layer.key, "files": layer.files})


def _layer_folders(root: Path) -> list[Path]:
    folder = root / "layers"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _read(folder: Path) -> SealedLayer | None:
    path = folder / SEAL
    if not path.is_file():
        return None
    data = read_json(path, "LAYER_CHANGED", _HINT)
    try:
        return _parsed(folder, data)
    except (KeyError, TypeError, ValueError, AttributeError, LucidError) as error:
        raise LucidError("LAYER_CHANGED", f"{path} is not what a {SCHEMA} writes there: {error!r}", _HINT) from error


def _parsed(folder: Path, data: dict[str, Any]) -> SealedLayer:
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']!r}")
    digests = [data["key"], *data["files"].values()]
    if not data["files"] or not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in digests):
        raise ValueError("a key or a hash is none")
    return SealedLayer(folder, data["key"], {check_relative(name): digest for name, digest in data["files"].items()})
