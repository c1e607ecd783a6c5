"""Files are written whole or not at all; what killed writers left goes, what others write stays."""
import os
import time
from pathlib import Path

import pytest
from forks import fork

from sobolev_lib import files


@pytest.mark.parametrize("content", ["text ✓\n", b"\x00bytes"])
def test_write_whole_writes_and_replaces(tmp_path, content):
    path = tmp_path / "new" / "folder" / "file"
    for _ in range(2):
        files.write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("failing", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["disk full", "interrupt"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing, error):
    path = tmp_path / "file"
    files.write_whole(path, "old")

    def fail(*_):
        raise error

    monkeypatch.setattr(files.os, failing, fail)
    with pytest.raises(type(error)):
        files.write_whole(path, "new" * 10000)
    monkeypatch.undo()
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_permissions_are_those_the_process_gives_and_a_file_keeps_its_own(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "new", "a")
        os.umask(0o077)
        files.write_whole(tmp_path / "newer", "a")
        (tmp_path / "new").chmod(0o664)
        files.write_whole(tmp_path / "new", "b")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "newer")] == [0o664, 0o600]


def test_a_symbolic_link_stays_one_and_its_file_is_written(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link, real = tmp_path / "link", tmp_path / "elsewhere" / "real"
    link.symlink_to(real)
    for text in ("one", "two"):
        files.write_whole(link, text)
        assert link.is_symlink() and real.read_text() == text and os.listdir(real.parent) == ["real"]


def test_what_killed_writers_left_goes_and_what_others_still_write_stays(tmp_path, tmp_path_factory):
    path, now = tmp_path / "file[1]", time.time()
    for name in (".file[1]-7-left", ".file[1]-8-held", ".file[1]-9-new", ".other-7-left"):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (now - 60, now + 60 if "new" in name else now - 60))
    with open(tmp_path / ".file[1]-8-held", "rb") as held:
        files.hold(held)
        process = fork(files.write_whole, path, "whole", output=tmp_path_factory.mktemp("output") / "output")
        process.join(60)
        assert process.exitcode == 0
    assert sorted(os.listdir(tmp_path)) == [".file[1]-8-held", ".file[1]-9-new", ".other-7-left", "file[1]"]


@pytest.mark.parametrize("place", ["folder", "file/below", "/proc/no/such/file"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="checkpoint: expected a file that can be written, got "):
        files.check_writable(tmp_path / place)
    files.check_writable(tmp_path / "new" / "file")
    assert not (tmp_path / "new" / "file").exists()


# --- as on Windows: no locks, and only closed files can be moved ------------------------------------------------------------

def test_without_locks_a_file_is_moved_once_it_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    opened, path = [], tmp_path / "file"
    monkeypatch.setattr(files, "open", lambda *given: opened.append(open(*given)) or opened[-1], raising=False)
    closed, replace = [], os.replace
    monkeypatch.setattr(files.os, "replace", lambda *given: closed.append(opened[-1].closed) or replace(*given))
    for text in ("old", "new"):
        files.write_whole(path, text)
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["file"] and closed == [True, True]


def test_without_locks_what_was_left_goes_and_what_cannot_be_deleted_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    unlink, before = Path.unlink, time.time() - 60

    def refuse(path, missing_ok=False):
        if "held" in path.name:
            raise PermissionError("another process has it open")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    for name in (".file-7-left", ".file-8-held"):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (before, before))
    files.write_whole(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == [".file-8-held", "file"]
