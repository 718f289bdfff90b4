"""Downloading, against a server of our own that drops connections."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wdsr.errors import TrainingError, UsageError
from wdsr.train import div2k
from wdsr.train.div2k import archives, download, folder

NAME = "DIV2K_train_LR_bicubic_X4.zip"
PICTURE = np.random.default_rng(0).bytes(3_000_000)


def zipped(inside: str, content: bytes = PICTURE) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(inside, content)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `files`; drops each connection after `gives` bytes; may know no ranges."""

    files: dict[str, bytes]
    gives: int | None = None
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, list[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Range"])
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content = self.server.files.get(self.path[1:])
        if content is None:
            self.send_error(404)
            return
        first = 0
        if body and self.server.ranges:
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if body:
            self.wfile.write(content[first:][: self.server.gives])

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.files[NAME] = zipped("DIV2K_train_LR_bicubic/X4/0001x4.png")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_archives_and_folders() -> None:
    assert archives("unknown", 3) == [
        "DIV2K_train_HR.zip",
        "DIV2K_valid_HR.zip",
        "DIV2K_train_LR_unknown_X3.zip",
        "DIV2K_valid_LR_unknown_X3.zip",
    ]
    assert archives("x8", 8)[2:] == ["DIV2K_train_LR_x8.zip", "DIV2K_valid_LR_x8.zip"]
    assert archives("mild", 4)[2] == "DIV2K_train_LR_mild.zip"
    assert folder(Path("d"), "valid", "bicubic", 2) == Path("d/DIV2K_valid_LR_bicubic/X2")
    assert folder(Path("d"), "train", "difficult", 4) == Path("d/DIV2K_train_LR_difficult")
    with pytest.raises(UsageError, match=r"kind must be one of bicubic, .*, not 'wild'"):
        archives("wild", 4)
    with pytest.raises(UsageError, match="mild at scale 4, not 2"):
        archives("mild", 2)


def test_a_connection_that_drops_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.gives = 700_000
    seen: list[tuple[str, int, int]] = []
    download(tmp_path, [NAME], url=server.url, pause=0, report=lambda *facts: seen.append(facts))
    assert (tmp_path / "DIV2K_train_LR_bicubic/X4/0001x4.png").read_bytes() == PICTURE
    size = len(server.files[NAME])
    assert server.asked == [f"bytes={n}-" for n in range(0, size, 700_000)]
    assert seen[-1] == (NAME, size, size)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"DIV2K_train_LR_bicubic", div2k.RECORD, f".{NAME}.done", ".lock"}
    # What is there is not asked for again.
    server.asked.clear()
    download(tmp_path, [NAME], url=server.url, pause=0)
    assert server.asked == []


def test_a_stopped_download_goes_on(server: Server, tmp_path: Path) -> None:
    content = server.files[NAME]
    (tmp_path / f"{NAME}.part").write_bytes(content[:1_000_000])
    download(tmp_path, [NAME], url=server.url, pause=0)
    assert server.asked == ["bytes=1000000-"]
    assert (tmp_path / "DIV2K_train_LR_bicubic/X4/0001x4.png").read_bytes() == PICTURE


def test_a_server_without_ranges_is_asked_for_all(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / f"{NAME}.part").write_bytes(b"something else, of an earlier try")
    download(tmp_path, [NAME], url=server.url, pause=0)
    assert (tmp_path / "DIV2K_train_LR_bicubic/X4/0001x4.png").read_bytes() == PICTURE


def test_a_server_that_gives_nothing_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(div2k, "ATTEMPTS", 3)
    server.gives = 0
    with pytest.raises(TrainingError, match=r"nothing more comes .* run again to go on"):
        download(tmp_path, [NAME], url=server.url, pause=0)
    assert len(server.asked) == 3


def test_what_is_not_there_or_not_answering_is_named(server: Server, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nix\.zip: the server says 404"):
        download(tmp_path, ["nix.zip"], url=server.url, pause=0)
    with pytest.raises(TrainingError, match=r"cannot be reached \(Connection refused\)"):
        download(tmp_path / "new", [NAME], url="http://127.0.0.1:1/", pause=0)
    assert not (tmp_path / "new").exists()


def test_another_file_than_at_the_first_download_is_refused(server: Server, tmp_path: Path) -> None:
    download(tmp_path, [NAME], url=server.url, pause=0)
    recorded = json.loads((tmp_path / div2k.RECORD).read_text())
    assert recorded == {NAME: hashlib.sha256(server.files[NAME]).hexdigest()}
    shutil.rmtree(tmp_path / "DIV2K_train_LR_bicubic")
    (tmp_path / f".{NAME}.done").unlink()
    server.files[NAME] = zipped("DIV2K_train_LR_bicubic/X4/0001x4.png", b"another")
    with pytest.raises(TrainingError, match="its hash differs"):
        download(tmp_path, [NAME], url=server.url, pause=0)
    assert not (tmp_path / "DIV2K_train_LR_bicubic").exists()


def test_a_known_hash_is_checked(server: Server, tmp_path: Path) -> None:
    name = "DIV2K_valid_HR.zip"
    server.files[name] = zipped("DIV2K_valid_HR/0801.png")
    with pytest.raises(TrainingError, match=r"DIV2K_valid_HR\.zip: .*its hash differs"):
        download(tmp_path, [name], url=server.url, pause=0)


def test_a_damaged_archive_leaves_no_half_folder(server: Server, tmp_path: Path) -> None:
    server.files[NAME] = server.files[NAME][:-100]
    with pytest.raises(TrainingError, match="damaged"):
        download(tmp_path, [NAME], url=server.url, pause=0)
    assert {p.name for p in tmp_path.iterdir()} == {".lock"}


def test_a_small_disk_is_known_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5_000_000))
    with pytest.raises(TrainingError, match=r"0\.0 GB are needed, 0\.0 GB are free"):
        download(tmp_path, [NAME], url=server.url, pause=0)
    assert server.asked == []


def test_archives_of_one_folder_are_merged(server: Server, tmp_path: Path) -> None:
    other = NAME.replace("X4", "X2")
    server.files[other] = zipped("DIV2K_train_LR_bicubic/X2/0001x2.png", b"small")
    download(tmp_path, [NAME, other], url=server.url, pause=0)
    assert (tmp_path / "DIV2K_train_LR_bicubic/X4/0001x4.png").read_bytes() == PICTURE
    assert (tmp_path / "DIV2K_train_LR_bicubic/X2/0001x2.png").read_bytes() == b"small"
