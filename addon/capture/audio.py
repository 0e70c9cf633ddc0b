# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a shot: Blender's own mix of strips and speakers, and what can be heard when, as timed cues."""

from __future__ import annotations

import io
import json
import tempfile
import time
import wave
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bpy

from ...inference.errors import LucidError
from ...inference.shot.model import Frames
from ...inference.shot.store import write_part
from .contacts import Contact
from .sequence import markers_of

MIX, CUES = "audio/mix.wav", "audio/cues.json"
RATE = 48_000
_FRAME = 4              # bytes: two channels of 16 bit
_BLOCK = 64             # samples: Blender mixes in blocks and writes whole ones
_PATIENCE = 10.0        # seconds without a new byte


@dataclass(frozen=True)
class Mix:
    """Stereo PCM, 16 bit, of the scene's sound from the start of frame ``first`` on."""

    first: int
    fps: float
    sound: bytes

    def part(self, frames: Frames) -> bytes:
        """From the start of the range's first frame to the end of its last one, to a sample; silence where nothing is."""
        start, end = (round((frame - self.first) / self.fps * RATE) for frame in (frames.start, frames.end + 1))
        heard = self.sound[max(start, 0) * _FRAME:max(end, 0) * _FRAME]
        silence = min(max(-start, 0), end - start)
        return (bytes(silence * _FRAME) + heard).ljust((end - start) * _FRAME, b"\0")


def mix_of(scene: bpy.types.Scene, frames: Frames) -> Mix | None:
    """What :func:`mixing` returns, waited for."""
    steps = mixing(scene, frames)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            mix: Mix | None = end.value
            return mix


def mixing(scene: bpy.types.Scene, frames: Frames) -> Generator[None, None, Mix | None]:
    """Blender's own mix of strips and speakers over a range, or None when nothing sounds; yields while Blender mixes.

    Mix a sequence of shots at once: Blender 5.2 mixes in a job, and without a window only the first of a process ever ends.
    It mixes nothing before frame 0: there it is silent. Raises SOUND_MISSING and SOUND_FAILED.
    """
    if not _sounds(scene):
        return None
    fps, first = scene.render.fps / scene.render.fps_base, max(frames.start, 0)
    if frames.end < first:
        return Mix(first, fps, b"")
    # closed early, Blender's job still writes there, and Windows deletes no open file
    with tempfile.TemporaryDirectory(prefix="lucid-", ignore_cleanup_errors=True) as temporary:
        path = Path(temporary) / "mix.wav"
        try:
            with _range(scene, first, frames.end), bpy.context.temp_override(scene=scene):
                bpy.ops.sound.mixdown(filepath=str(path), check_existing=False, container="WAV", codec="PCM", format="S16",
                                      channels="STEREO", mixrate=RATE, accuracy=_BLOCK)
        except RuntimeError as error:
            raise _failed(" ".join(str(error).removeprefix("Error: ").split())) from error
        yield from _closing(path)
        with wave.open(str(path), "rb") as stream:
            return Mix(first, fps, stream.readframes(stream.getnframes()))


def write_audio(scene: bpy.types.Scene, frames: Frames, folder: Path, contacts: Sequence[Contact] = (),
                mix: Mix | None = None) -> str:
    """Write audio/mix.wav, stereo, 16 bit, 48 kHz, below the shot's ``folder``, and audio/cues.json.

    ``mix`` is one of a range around this one (otherwise it is mixed here). The file lasts from the start of the first frame
    to the end of the last one, to a sample; a click is where it is on the timeline to two samples. Returns its path, or "" when
    nothing sounds; the cues are written when there are any. Raises SOUND_MISSING, SOUND_FAILED and DISK_WRITE.
    """
    mix = mix or mix_of(scene, frames)
    cues = {"strips": _strips(scene, frames), "markers": [asdict(marker) for marker in markers_of(scene, frames)],
            "contacts": [asdict(contact) for contact in contacts]}
    if any(cues.values()):
        write_part(folder / CUES, (json.dumps(cues, indent=2, ensure_ascii=False) + "\n").encode())
    if mix is None:
        return ""
    written = io.BytesIO()
    with wave.open(written, "wb") as stream:
        stream.setnchannels(2)
        stream.setsampwidth(_FRAME // 2)
        stream.setframerate(RATE)
        stream.writeframes(mix.part(frames))
    write_part(folder / MIX, written.getvalue())
    return MIX


def _closing(path: Path) -> Iterator[None]:
    """Until Blender's job has closed the file: only then do its first bytes say how long it is."""
    size, deadline = 0, time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if path.is_file():
            with path.open("rb") as stream:
                head = stream.read(8)
            now = path.stat().st_size
            if len(head) == 8 and int.from_bytes(head[4:], "little") + 8 == now:
                return
            if now > size:
                size, deadline = now, time.monotonic() + _PATIENCE
        time.sleep(0.01)
        yield
    raise _failed("its job did not end", "without a window, capture one sequence per run of Blender")


def _failed(reason: str, hint: str = "mix it once by hand (Render > Render Audio), or mute the strips") -> LucidError:
    return LucidError("SOUND_FAILED", f"Blender did not mix the sound: {reason}", hint)


@contextmanager
def _range(scene: bpy.types.Scene, start: int, end: int) -> Iterator[None]:
    before = scene.frame_start, scene.frame_end
    try:
        scene.frame_start, scene.frame_end = start, end
        scene.frame_start = start       # Blender keeps start <= end and may have moved it
        yield
    finally:
        scene.frame_start, scene.frame_end = before
        scene.frame_start = before[0]


def _sounds(scene: bpy.types.Scene) -> bool:
    """Whether a strip or speaker sounds. Raises SOUND_MISSING for one whose file is gone, which Blender would mix as
    silence."""
    if not scene.use_audio:
        return False
    strips = [strip for strip in _every_strip(scene) if strip.type in {"SOUND", "SCENE"} and not _muted(scene, strip)]
    speakers = [item for item in scene.objects if item.type == "SPEAKER" and item.data.sound and not item.data.muted]
    sources = [(strip.name, strip.sound) for strip in strips if strip.type == "SOUND"]
    for name, sound in sources + [(item.name, item.data.sound) for item in speakers]:
        if sound is None or sound.packed_file is None and not Path(_file(sound)).is_file():
            raise LucidError("SOUND_MISSING", f"'{name}' has no sound file{f' {sound.filepath}' if sound else ''}",
                             "find it (File > External Data), or mute the strip")
    return bool(strips or speakers)


def _strips(scene: bpy.types.Scene, frames: Frames) -> list[dict[str, Any]]:
    """The sound strips that reach into the shot; ``start`` and ``end`` are their first and last frames."""
    return [{"name": strip.name, "channel": strip.channel, "start": strip.left_handle, "end": strip.right_handle - 1,
             "file": Path(_file(strip.sound)).name if strip.sound else "", "volume": strip.volume,
             "mute": _muted(scene, strip)}
            for strip in _every_strip(scene)
            if strip.type == "SOUND" and strip.left_handle <= frames.end and strip.right_handle > frames.start]


def _every_strip(scene: bpy.types.Scene) -> list[bpy.types.Strip]:
    """In order of time; those inside meta strips too."""
    editor = scene.sequence_editor
    return sorted(editor.strips_all, key=lambda strip: (strip.left_handle, strip.channel)) if editor else []


def _muted(scene: bpy.types.Scene, strip: bpy.types.Strip) -> bool:
    """Whether the strip, its channel, or a meta strip around it is muted."""
    meta = strip.parent_meta()
    if strip.mute or (meta or scene.sequence_editor).channels[strip.channel].mute:
        return True
    return meta is not None and _muted(scene, meta)


def _file(sound: bpy.types.Sound) -> str:
    return bpy.path.abspath(sound.filepath, library=sound.library)
