"""Tensors on disk, by torch.distributed.checkpoint: each rank writes its own part, and any number of ranks reads them.

So nothing is gathered. The files are safetensors, in which nothing can hide: torch's own format has a pickle as index.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load as load_state_dict
from torch.distributed.checkpoint.state_dict_saver import save as save_state_dict

from coderl.learning import collectives

# Of all ranks together. A rank's part of a file is held in memory, twice, while it is written.
FILE_BYTES = 2**30


def save(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Write `tensors`, sharded or not, under their names. On all ranks, which must see the same `folder`.

    Raises:
        OSError: on all ranks, where one of them cannot write.
    """
    writer = HuggingFaceStorageWriter(
        str(folder), fqn_to_index_mapping=_files(tensors), save_distributed=True
    )
    with _failing_as_os_error():
        save_state_dict(tensors, storage_writer=writer, no_dist=collectives.world_size() == 1)


def _files(tensors: dict[str, torch.Tensor]) -> dict[str, int]:
    """The number of the file that each goes to, from 1."""
    files: dict[str, int] = {}
    number, size = 1, 0
    for name, tensor in tensors.items():
        if size and size + tensor.nbytes > FILE_BYTES:
            number, size = number + 1, 0
        files[name] = number
        size += tensor.nbytes
    return files


def load(tensors: dict[str, torch.Tensor], folder: Path) -> set[str]:
    """Read into `tensors`, however these are sharded, what was saved under their names. On all ranks.

    Returns: the names under which nothing was saved; their tensors stay as they are.

    Raises:
        OSError: on all ranks, where a part is missing, damaged, or of another shape.
    """
    reader = HuggingFaceStorageReader(str(folder))
    saved = _saved(reader)
    with _failing_as_os_error():
        wanted = {name: tensor for name, tensor in tensors.items() if name in saved}
        load_state_dict(wanted, storage_reader=reader, no_dist=collectives.world_size() == 1)
    return tensors.keys() - saved


def _saved(reader: HuggingFaceStorageReader) -> set[str]:
    """The names. Raises `OSError` on all ranks where one of them does not see every part.

    Torch would leave the missing part of a tensor as it is; and the other ranks would wait for that one.
    """
    names: set[str] = set()
    problems: dict[int, str] = {}
    try:
        with _failing_as_os_error():
            for name, stored in reader.read_metadata().state_dict_metadata.items():
                assert isinstance(stored, TensorStorageMetadata)
                if sum(chunk.sizes.numel() for chunk in stored.chunks) != stored.size.numel():
                    raise OSError(f"a part of {name} is missing")
                names.add(name)
    except OSError as error:
        problems = {collectives.rank(): str(error)}
    problems = collectives.united(problems)
    if problems:
        raise OSError("; ".join(f"rank {rank}: {text}" for rank, text in sorted(problems.items())))
    return names


@contextlib.contextmanager
def _failing_as_os_error() -> Iterator[None]:
    try:
        with warnings.catch_warnings():  # that one process is one process
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
            yield
    except SafetensorError as error:
        raise OSError(str(error)) from error
    except CheckpointException as error:  # of all ranks; no subclass of Exception
        rank, (cause, _) = next(iter(error.failures.items()))
        if not isinstance(cause, Exception):  # Ctrl-C
            raise cause from error
        raise OSError(f"rank {rank}: {type(cause).__name__}: {cause}") from error
