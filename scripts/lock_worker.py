# SPDX-License-Identifier: GPL-3.0-or-later
"""Write addon/requirements anew from scripts/requirements: ``python3 scripts/lock_worker.py --python PYTHON3.12``.

Needs uv on PATH and PyPI. Run it after every change of scripts/requirements/{torch,worker}.txt; a test holds both together.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS, LOCKS = ROOT / "scripts" / "requirements", ROOT / "addon" / "requirements"
MACHINES = (("linux", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64"))
TORCH = re.compile(r"(torch|triton|nvidia|cuda)\b")
EVERYWHERE = re.compile(r" ; (\(platform_machine == '\w+' and sys_platform == '\w+'\)( or )?){3}")
WORKER = """# what the worker needs besides torch, with the hash of every file: scripts/requirements/{torch,worker}.txt resolved
# for Python 3.12 on Linux x86_64, macOS arm64 and Windows x86_64 by scripts/lock_worker.py
"""
PYPI = """# torch as PyPI has it, with the hash of every file: CUDA 13.0 on Linux, Metal on macOS, the processor alone on Windows
"""
INDEX = """# torch from PyTorch's own index, which has the other builds: uv's --torch-backend names it, https alone vouches for it
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Lock what the worker's installer installs.")
    parser.add_argument("--uv", default="uv", help="the uv to resolve with")
    parser.add_argument("--python", default="3.12", help="a Python 3.12, or 3.12 for one that uv downloads")
    asked = parser.parse_args()
    torch, worker = (pins(PINS / name) for name in ("torch.txt", "worker.txt"))
    blocks = locked(asked.uv, asked.python, [*torch, *worker])
    gpu = [block for block in blocks if TORCH.match(block)]
    write("worker.txt", WORKER, [block for block in blocks if block not in gpu])
    write("torch-pypi.txt", PYPI, gpu)
    write("torch-index.txt", INDEX, torch)
    return 0


def pins(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if "==" in line]


def locked(uv: str, python: str, requirements: list[str]) -> list[str]:
    """Every package with its hashes, as uv exports them; what holds on all three machines without saying so."""
    markers = [f"sys_platform == '{system}' and platform_machine == '{machine}'" for system, machine in MACHINES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "worker"\nversion = "0"\nrequires-python = "==3.12.*"\ndependencies = {requirements}\n'
            f"[tool.uv]\nenvironments = {markers}\n", encoding="utf-8")
        subprocess.run([uv, "lock", "--python", python], cwd=folder, check=True)
        told = subprocess.run([uv, "export", "--python", python, "--frozen", "--no-emit-project", "--no-header", "--no-annotate",
                               "--format", "requirements.txt"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [EVERYWHERE.sub("", block.strip()) for block in re.split(r"\n(?=[A-Za-z])", told)]


def write(name: str, head: str, blocks: list[str]) -> None:
    (LOCKS / name).write_text(head + "\n".join(blocks) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
