# SPDX-License-Identifier: GPL-3.0-or-later
"""What an extension leaves in a Blender: everything it could have put there, for a comparison of before and after.

Nothing is looked for by name. What Blender gives no list of (timers, draw handlers, message-bus subscriptions, commands) holds
a reference to the extension's function, so the functions' reference counts tell. Run by path inside Blender: imports nothing of
Lucid.
"""

from __future__ import annotations

import atexit
import functools
import gc
import logging
import signal
import sys
import threading
import types
from collections import Counter
from collections.abc import Iterator
from typing import Any

import bpy
import bpy.utils.previews

Snapshot = dict[str, Any]


def snapshot(package: str) -> Snapshot:
    """By kind, what is there now; ``package`` is the extension's module, whose own functions are looked for."""
    gc.collect()
    for name in dir(bpy.types):
        getattr(bpy.types, name)        # Blender makes its own on demand
    classes = sorted(_registered(bpy.types.bpy_struct), key=lambda cls: (cls.__module__, cls.__qualname__))
    return {
        "classes": [f"{cls.__module__}.{cls.__qualname__}" for cls in classes if cls.__module__ != "bpy.types"],
        "types": sorted(dir(bpy.types)),
        "properties": {f"{cls.__module__}.{cls.__qualname__}": sorted(cls.bl_rna.properties.keys()) for cls in classes
                       if "_OT_" not in cls.__name__ or cls.__module__ != "bpy.types"},
        "attributes": {name: sorted(vars(getattr(bpy.types, name))) for name in ("Scene", "Object", "WindowManager", "ID")},
        "operators": sorted(f"{space}.{name}" for space in dir(bpy.ops) for name in dir(getattr(bpy.ops, space))),
        "handlers": {name: sorted(map(repr, getattr(bpy.app.handlers, name))) for name in dir(bpy.app.handlers)
                     if isinstance(getattr(bpy.app.handlers, name), list)},
        "timers": sorted(repr(each) for each in _callables(package) if bpy.app.timers.is_registered(each)),
        "keymaps": _keymaps(),
        "menus": sorted(f"{cls.__qualname__} {draw.__module__}.{draw.__qualname__}" for cls in classes
                        for draw in getattr(getattr(cls, "draw", None), "_draw_funcs", ())),
        "previews": sum(isinstance(item, bpy.utils.previews.ImagePreviewCollection) for item in gc.get_objects()),
        "presets": sorted(bpy.utils._preset_path_registry),
        "translations": _translated(package),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "path": list(sys.path),
        "importers": list(map(repr, sys.meta_path)),
        "signals": {number.name: repr(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)},
        "exits": atexit._ncallbacks(),
        "logging": list(map(repr, logging.getLogger().handlers)),
    }


def held(package: str) -> dict[str, int]:
    """How many references each function of the package has: one more from switch to switch is one that somebody keeps."""
    gc.collect()
    return {f"{name}.{key}": sys.getrefcount(value) for name, module in sorted(sys.modules.items())
            if name == package or name.startswith(f"{package}.")
            for key, value in vars(module).items()
            if isinstance(value, types.FunctionType) and value.__module__ == name}


def differences(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """By kind, what came and what went; empty where all is as it was."""
    return {kind: _difference(before[kind], after[kind]) for kind in before if before[kind] != after[kind]}


def _difference(before: Any, after: Any) -> Any:
    if isinstance(before, dict):
        return {key: _difference(before.get(key), after.get(key)) for key in before.keys() | after.keys()
                if before.get(key) != after.get(key)}
    if isinstance(before, list) and isinstance(after, list):
        return {"came": list((Counter(after) - Counter(before)).elements()),
                "went": list((Counter(before) - Counter(after)).elements())}
    return {"before": before, "after": after}


def _registered(cls: type) -> Iterator[type]:
    """Blender deletes ``bl_rna`` from a class that it unregisters; the Python class lives on."""
    for sub in cls.__subclasses__():
        if "bl_rna" in vars(sub):
            yield sub
        yield from _registered(sub)


def _callables(package: str) -> Iterator[Any]:
    for item in gc.get_objects():
        inner = item.func if isinstance(item, functools.partial) else item
        if isinstance(inner, types.FunctionType | types.MethodType) and str(inner.__module__).startswith(package):
            yield item


def _keymaps() -> list[str]:
    configurations = bpy.context.window_manager.keyconfigs
    return sorted(f"{configuration.name} {keymap.name} {item.idname} {item.type}" for configuration in configurations
                  for keymap in configuration.keymaps for item in keymap.keymap_items)


def _translated(package: str) -> bool:
    """Whether it has translations registered: then Blender takes no more."""
    try:
        bpy.app.translations.register(package, {})
    except ValueError:
        return True
    bpy.app.translations.unregister(package)
    return False
