"""Files: whole or as before; folders: what is listed, and in which order."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wdsr.errors import PictureError
from wdsr.files import list_files, write_atomically

SUFFIXES = {".png", ".jpg"}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def listed(folder: Path, *, recursive: bool = False) -> list[str]:
    found = list_files(folder, SUFFIXES, recursive=recursive)
    return [path.relative_to(folder).as_posix() for path in found]


def test_only_the_folders_own_files_of_these_kinds_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.jpg", "C.PNG", "10.png", "9.png", "a.txt", "png", "deep/z.png")
    assert listed(tmp_path) == ["10.png", "9.png", "C.PNG", "a.jpg", "b.png"]


def test_recursive_lists_subfolders_sorted_by_path(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a/2.jpg", "a/1.JPG", "a/b/3.png", "c/x.txt", "a.png")
    assert listed(tmp_path, recursive=True) == [
        "a/1.JPG", "a/2.jpg", "a/b/3.png", "a.png", "b.png",
    ]  # fmt: skip


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, ".hidden.png", ".cache/x.png", "a/.b.png", "a/.c/d.png", "seen.png", ".png")
    assert listed(tmp_path) == ["seen.png"]
    assert listed(tmp_path, recursive=True) == ["seen.png"]


def test_a_hidden_folder_can_be_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, ".photos/a.png")
    assert listed(tmp_path / ".photos", recursive=True) == ["a.png"]


def test_names_in_any_script(tmp_path: Path) -> None:
    names = ["Ünïcode ñ.png", "写真/東京.jpg", "a b\tc.png", "🐈.png", "-o.png", "[1]*.png"]
    touch(tmp_path, *names)
    assert sorted(listed(tmp_path, recursive=True)) == sorted(names)


@pytest.mark.parametrize("recursive", [False, True])
def test_what_is_no_file_is_left_out(tmp_path: Path, recursive: bool) -> None:
    touch(tmp_path, "real.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").symlink_to("nowhere")
    (tmp_path / "link.png").symlink_to("real.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert listed(tmp_path, recursive=recursive) == ["link.png", "real.png"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert listed(tmp_path, recursive=True) == ["a/x.png"]


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_without_pictures_says_so(tmp_path: Path, recursive: bool) -> None:
    touch(tmp_path, "notes.txt", ".hidden.png")
    with pytest.raises(PictureError, match="no pictures in this folder") as caught:
        list_files(tmp_path, SUFFIXES, recursive=recursive)
    assert str(tmp_path) in str(caught.value)
    assert ("subfolders" in str(caught.value)) is not recursive


@pytest.mark.parametrize("recursive", [False, True])
def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path, recursive: bool) -> None:
    touch(tmp_path, "file.png")
    for name, why in (("gone", "cannot read this: No such file"), ("file.png", "is a file, not")):
        with pytest.raises(PictureError, match=f"{name}: {why}") as caught:
            list_files(tmp_path / name, SUFFIXES, recursive=recursive)
        assert "\n" not in str(caught.value)


def test_an_unreadable_subfolder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.png", "locked/b.png")
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may run as root, whom nothing stops
    with pytest.raises(PictureError, match="locked: cannot read this: Permission denied"):
        list_files(tmp_path, SUFFIXES, recursive=True)


def test_writes_a_new_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new.bin"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [path]


def test_replaces_an_old_file(tmp_path: Path) -> None:
    path = tmp_path / "old.bin"
    path.write_bytes(b"old and longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "🐈" * 62 + ".png", "写" * 83 + ".png", "é"])
def test_any_name_the_system_allows_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def _full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


class _FullDisk:
    """A file that takes half of what it is given, then no more."""

    def __init__(self, stream: Any, fail: Callable[..., None]) -> None:
        self._stream, self._fail = stream, fail

    def __enter__(self) -> _FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, content: bytes) -> None:
        self._stream.write(content[: len(content) // 2])
        self._stream.flush()
        self._fail()


@pytest.mark.parametrize("old", [None, b"as it was"], ids=["new", "old"])
@pytest.mark.parametrize("fail", [_full, _interrupted])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failure_at_any_step_leaves_everything_as_it_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    fail: Callable[..., None],
    old: bytes | None,
) -> None:
    path = tmp_path / "picture.png"
    if old is not None:
        path.write_bytes(old)
    reached: list[Path] = []
    part_open, before = Path.open, sorted(tmp_path.iterdir())

    def spoiled(*_: Any) -> None:
        # The content must be in a file of its own by now, in the same folder.
        reached.extend(set(tmp_path.iterdir()) - {path})
        fail()

    if step == "write":
        monkeypatch.setattr(
            Path, "open", lambda self, mode: _FullDisk(part_open(self, mode), spoiled)
        )
    elif step == "fsync":
        monkeypatch.setattr(os, "fsync", spoiled)
    else:
        monkeypatch.setattr(Path, "replace", spoiled)
    with pytest.raises((OSError, KeyboardInterrupt)):
        write_atomically(path, b"new content")
    monkeypatch.undo()
    assert len(reached) == 1
    assert sorted(tmp_path.iterdir()) == before
    assert old is None or path.read_bytes() == old


def test_content_is_synced_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "a.bin", []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append(("sync", os.fstat(descriptor).st_size))
        sync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        steps.append(("rename", self.stat().st_size))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    write_atomically(path, b"12345")
    assert steps[:2] == [("sync", 5), ("rename", 5)]


@pytest.mark.parametrize("target", ["gone/a.png", "file/a.png", "folder"])
def test_an_impossible_target_raises_as_the_system_does(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=r"gone|file|folder"):
        write_atomically(tmp_path / target, b"content")
    assert sorted(tmp_path.rglob("*")) == before
