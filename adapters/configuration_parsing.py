"""Reads the blocks out of many files at once: each content once, however many files hold it, and side by side where it is much.

A parser of HCL in Python takes some 40 µs a line, so what cannot hold a block that is looked at is not parsed: no spelling of
one goes without its keyword as a word of its own, which a reference (``module.kv.id``, ``path.module``) is not. JSON can spell
a keyword with escapes, and is read quickly, so all of it is.
"""

import hashlib
import multiprocessing
import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Final

from adapters.hcl_blocks import BrokenFileError, read_hcl
from adapters.json_blocks import read_json
from pins.configuration import Block, BlockKind, Trouble

MOST_HCL_BYTES: Final = 1024 * 1024
"""A larger one would take a minute and gigabytes to parse."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""What is read of any file: JSON is parsed up to it, and HCL that has no block that is looked at is passed over."""
_WORTH_A_PROCESS_BYTES: Final = 256 * 1024
_CHUNKS_A_PROCESS: Final = 8
_KEYWORDS: Final = {kind: re.compile(rb"(?<![\w.-])%s(?![\w.-])" % kind.encode()) for kind in BlockKind}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file, and the kinds of block that are wanted of it."""

    content: bytes
    is_json: bool
    kinds: frozenset[BlockKind]

    @property
    def key(self) -> tuple[bytes, bool]:
        return hashlib.sha256(self.content).digest(), self.is_json


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a file's blocks could not be read; ``line`` is from 1."""

    trouble: Trouble
    why: str
    line: int | None = None


Parsed = tuple[Block, ...] | Broken


def parse_all(contents: Iterable[Content]) -> Mapping[tuple[bytes, bool], Parsed]:
    """What is in each of them, by its key."""
    wanted = {one.key: one for one in contents}
    parsed = {key: found for key, one in wanted.items() if (found := _without_parsing(one)) is not None}
    rest = sorted(
        ((key, one) for key, one in wanted.items() if key not in parsed), key=lambda item: -len(item[1].content)
    )
    for (key, _), blocks in zip(rest, _parsed([one for _, one in rest]), strict=True):
        parsed[key] = blocks
    return parsed


def _without_parsing(one: Content) -> Parsed | None:
    """For what need not, or cannot, be parsed; None for the rest."""
    try:
        one.content.decode()
    except UnicodeDecodeError as error:
        line = one.content.count(b"\n", 0, error.start) + 1
        return Broken(Trouble.NOT_UTF8, "it is not UTF-8", line)
    if not one.is_json and not any(_KEYWORDS[kind].search(one.content) for kind in one.kinds):
        return ()
    most = MOST_BYTES if one.is_json else MOST_HCL_BYTES
    if len(one.content) > most:
        return too_large(len(one.content), most)
    return None


def too_large(size_bytes: int, most_bytes: int) -> Broken:
    return Broken(Trouble.TOO_LARGE, f"it has {size_bytes:,} bytes, and {most_bytes:,} are read; split it")


def _parsed(contents: list[Content]) -> list[Parsed]:
    total = sum(len(one.content) for one in contents)
    processes = min(os.cpu_count() or 1, total // _WORTH_A_PROCESS_BYTES)
    if processes < 2:
        return [parse(one) for one in contents]
    # A fork of a process with threads could inherit a lock that nobody will ever open.
    context = multiprocessing.get_context(
        "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else None
    )
    try:
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            chunk = max(1, len(contents) // (processes * _CHUNKS_A_PROCESS))
            return list(pool.map(parse, contents, chunksize=chunk))
    except (BrokenProcessPool, OSError):
        # A machine that starts no processes, or ends them, still gets its answer.
        return [parse(one) for one in contents]


def parse(one: Content) -> Parsed:
    text = one.content.removeprefix(_BYTE_ORDER_MARK).decode()
    try:
        blocks = read_json(text) if one.is_json else read_hcl(text)
    except BrokenFileError as error:
        return Broken(error.trouble, error.why, error.line)
    return tuple(block for block in blocks if block.kind in one.kinds)
