"""Archives that come damaged, folders that have changed since, addresses that are none."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from wdsr.errors import TrainingError, UsageError
from wdsr.train import div2k
from wdsr.train.div2k import download

NAME = "DIV2K_train_LR_bicubic_X4.zip"
PICTURE = "DIV2K_train_LR_bicubic/X4/0001x4.png"


def zipped(content: bytes = b"pixels, " * 99) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PICTURE, content)
    return buffer.getvalue()


def damaged(how: str) -> bytes:
    content = bytearray(zipped())
    local, central = content.index(b"PK\3\4"), content.index(b"PK\1\2")
    if how == "cut short":
        return bytes(content[:-30])
    if how == "stream":  # zlib.error
        content[local + 30 + len(PICTURE)] = 0xFF
    elif how == "method":  # NotImplementedError
        content[local + 8] = content[central + 10] = 77
    elif how == "encrypted":  # RuntimeError
        content[local + 6] = content[central + 8] = 1
    elif how == "bzip2":  # OSError without a number
        content[local + 8] = content[central + 10] = zipfile.ZIP_BZIP2
    elif how == "ends":  # EOFError, without a word
        content[local + 8] = content[central + 10] = zipfile.ZIP_STORED
        content[central + 20 : central + 28] = (1 << 20).to_bytes(4, "little") * 2
    return bytes(content)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / NAME).write_bytes(zipped())
    return tmp_path / "mirror"


def bring(root: Path, mirror: Path) -> None:
    download(root, [NAME], url=mirror.as_uri() + "/", pause=0)


@pytest.mark.parametrize("how", ["cut short", "stream", "method", "encrypted", "bzip2", "ends"])
def test_one_damaged_download_is_one_line_and_the_next_is_taken(
    mirror: Path, tmp_path: Path, how: str
) -> None:
    root = tmp_path / "root"
    (mirror / NAME).write_bytes(damaged(how))
    with pytest.raises(TrainingError, match=r"X4\.zip: damaged \(.+\); run again"):
        bring(root, mirror)
    assert [path.name for path in root.iterdir()] == [".lock"]
    (mirror / NAME).write_bytes(zipped())
    bring(root, mirror)
    assert (root / PICTURE).exists()
    recorded = json.loads((root / div2k.RECORD).read_text())
    assert recorded == {NAME: hashlib.sha256(zipped()).hexdigest()}


def test_a_full_disk_is_no_damage(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: zipfile.ZipFile, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        bring(tmp_path / "root", mirror)
    assert (tmp_path / "root" / f"{NAME}.part").exists()


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"%s": 5}' % NAME.encode(), b"\xff"])
def test_a_record_that_cannot_be_read_is_begun_anew(
    mirror: Path, tmp_path: Path, record: bytes
) -> None:
    (tmp_path / div2k.RECORD).write_bytes(record)
    bring(tmp_path, mirror)
    assert list(json.loads((tmp_path / div2k.RECORD).read_text())) == [NAME]


def test_pictures_that_were_deleted_are_brought_again(mirror: Path, tmp_path: Path) -> None:
    bring(tmp_path, mirror)
    shutil.rmtree(tmp_path / "DIV2K_train_LR_bicubic")
    bring(tmp_path, mirror)
    assert (tmp_path / PICTURE).exists()


def test_only_one_process_downloads_into_a_folder(mirror: Path, tmp_path: Path) -> None:
    said: list[str] = []

    def report(name: str, done: int, total: int) -> None:
        with pytest.raises(TrainingError) as caught:
            bring(tmp_path, mirror)
        said.append(str(caught.value))

    download(tmp_path, [NAME], url=mirror.as_uri() + "/", report=report)
    assert said == [
        f"{tmp_path}: another process downloads into this folder; let it end, or use another"
    ]
    assert (tmp_path / PICTURE).exists()


@pytest.mark.parametrize("url", ["foo/", "http://[bad/", "http://127.0.0.1:1/é/"])
def test_what_is_no_address_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"X4\.zip: no address \(.+\); url is to be like http://"):
        download(tmp_path / "root", [NAME], url=url, pause=0)
    assert not (tmp_path / "root").exists()
