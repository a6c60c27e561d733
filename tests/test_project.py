"""The build directory: whose it is, who may write, what is skipped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.base import seals
from bitsmith.base.project import LOCK, MANIFEST, OWNER, Project, digest, project_name, write_atomically
from bitsmith.errors import ProjectError, ProjectWarning


def test_new_folder_gets_a_manifest_and_reopens(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with Project.open(folder, "net") as project:
        paths = project.write({"rtl/net.sv": "module net;\n", "data.bin": b"\x00\x01"})
    assert [path.read_bytes() for path in paths] == [b"module net;\n", b"\x00\x01"]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["name"], manifest["stages"]) == ("net", {})
    with Project.open(folder, "net"):
        pass


def test_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ProjectError, match=r"thesis\.tex"):
        Project.open(tmp_path, "net")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(ProjectError, match="cannot be used"):
        Project.open(tmp_path / "f", "net")


RECORD = '{"digest": "d", "seconds": %s, "log": "", "result": %s, "files": {"%s": "x"}}'
STAGES = '{"made_by": "bitsmith", "format": 1, "name": "net", "stages": {"synth": %s}}'


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "3", "[" * 100_000, "", "\x00", '{"made_by": "other"}'),
        '{"made_by": "bitsmith", "format": 1, "stages": 3}',
        STAGES % "3",
        STAGES % RECORD % ("1" * 5000, "1", "a"),
        STAGES % RECORD % ("1", "[" * 100_000 + "]" * 100_000, "a"),
        STAGES % RECORD % ('"1"', "1", "a"),
    ],
)
def test_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ProjectError, match="manifest"):
        Project.open(tmp_path, "net")
    assert (tmp_path / MANIFEST).read_text() == text


def test_huge_manifest_is_not_read_whole(tmp_path: Path) -> None:
    """Its size is what is wrong, whatever it holds after that."""
    with (tmp_path / MANIFEST).open("wb") as file:
        file.write(b" " * 64)
        file.truncate((64 << 20) + 1)
    with pytest.raises(ProjectError, match=f"{(64 << 20) % 10**6} bytes"):
        Project.open(tmp_path, "net")


def test_manifest_of_another_version_forgets_its_stages(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"made_by": "bitsmith", "format": 0, "stages": {"x": 1}}))
    with Project.open(tmp_path, "net") as project:
        assert project.stages == {}


@pytest.mark.parametrize("seconds", ["1", "1e999", "NaN", "-1", "1" + "0" * 400])
@pytest.mark.parametrize("file", ["a", "a" * 5000, "/etc/passwd", "../x", "", "a\\u0000b"])
def test_manifest_that_nobody_here_has_sealed_is_not_believed(tmp_path: Path, seconds: str, file: str) -> None:
    (tmp_path / MANIFEST).write_text(STAGES % RECORD % (seconds, '{"Resources": {"LUT": 1e999}}', file))
    try:
        with Project.open(tmp_path, "net") as project:
            assert project.stages == {} and project.cached("synth", "d") is None
    except ProjectError:
        assert len(seconds) > 10  # no float at all


def test_seal_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for user, known in (("a", False), ("a", True), ("b", False), ("b", True), ("a", False)):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / user))
        with Project.open(tmp_path / "p", "net") as project:
            assert bool(project.cached("synth", "d")) == known
            project.record("synth", "d", 1.5, 0.25)
    key = tmp_path / "a" / "bitsmith" / "key"
    assert key.stat().st_mode & 0o777 == 0o600 and [path.name for path in key.parent.iterdir()] == ["key"]


def test_key_is_not_written_into_a_file_that_is_there(tmp_path: Path) -> None:
    scratch = tmp_path / f".key.{os.getpid()}.tmp"
    scratch.symlink_to(tmp_path / "elsewhere")
    first = seals._key(tmp_path / "key")
    assert not (tmp_path / "elsewhere").exists() and not (tmp_path / "key").exists()
    seals._key.cache_clear()
    assert seals._key(tmp_path / "key") != first and (tmp_path / "key").exists()


def test_stages_are_in_the_order_that_they_were_recorded_last(tmp_path: Path) -> None:
    with Project.open(tmp_path, "net") as project:
        for stage in ("rtl", "synth", "rtl"):
            project.record(stage, "d", None, 0.0)
        assert list(project.stages) == ["synth", "rtl"]


def test_changed_result_is_not_believed(tmp_path: Path) -> None:
    with Project.open(tmp_path, "net") as project:
        project.record("synth", "d", {"LUT": 5}, 0.0)
    manifest = tmp_path / MANIFEST
    manifest.write_text(manifest.read_text().replace('"LUT": 5', '"LUT": 4'))
    with Project.open(tmp_path, "net") as project:
        assert project.stages == {}


def test_without_a_cache_only_this_process_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for known in (False, True):
        with Project.open(tmp_path / "p", "net") as project:
            assert bool(project.cached("synth", "d")) == known
            project.record("synth", "d", None, 0.0)
    look = f"from bitsmith.base.project import Project; print(len(Project.open({str(tmp_path / 'p')!r}, 'net').stages))"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "0\n"


@pytest.mark.parametrize("after", [0, 1])
def test_folder_of_a_process_killed_while_it_wrote_its_first_files(tmp_path: Path, after: int) -> None:
    program = f"""
import os, signal
from pathlib import Path
from bitsmith.base.project import Project
left, replace = [{after}], Path.replace
def killed(source, target):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return replace(source, target)
Path.replace = killed
Project.open({str(tmp_path / "p")!r}, "net")
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    left = {path.name for path in (tmp_path / "p").iterdir()}
    assert any(name.endswith(".tmp") for name in left) and MANIFEST not in left
    with Project.open(tmp_path / "p", "net"):
        pass
    assert {path.name for path in (tmp_path / "p").iterdir()} == {MANIFEST, LOCK}


@pytest.mark.parametrize("name", [LOCK, OWNER, MANIFEST])
def test_links_in_place_of_our_files_are_not_followed(tmp_path: Path, name: str) -> None:
    mine, folder = tmp_path / "mine", tmp_path / "p"
    mine.write_text('{"made_by": "bitsmith", "format": 0}')
    with Project.open(folder, "net"):
        pass
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(mine)
    try:
        with Project.open(folder, "net"):
            pass
    except ProjectError as error:
        assert name == LOCK and "link" in str(error)
    assert mine.read_text() == '{"made_by": "bitsmith", "format": 0}'


def test_what_no_step_wrote_is_removed(tmp_path: Path) -> None:
    with Project.open(tmp_path / "p", "net") as project:
        project.write({"firmware/a.h": "", "firmware/b/c.h": "", "other/d.h": "", "firmware/a.h.gch/x": ""})
        (project.folder / "firmware" / "l.h").symlink_to(tmp_path)
        project.remove("firmware/**/*.*", ["firmware/a.h"])
        left = {path.relative_to(project.folder).as_posix() for path in project.folder.rglob("*.*")}
        assert left == {"firmware/a.h", "other/d.h", MANIFEST, LOCK, OWNER}
    assert tmp_path.exists()


def test_an_archive_has_what_can_be_run_as_such(tmp_path: Path) -> None:
    with Project.open(tmp_path / "p", "net") as project:
        project.write({"run.sh": "make", "Makefile": "all:"})
        (project.folder / "run.sh").chmod(0o700)
        project.pack(tmp_path / "net.tar.gz")
    with tarfile.open(tmp_path / "net.tar.gz") as archive:
        modes = {member.name: member.mode for member in archive}
    assert modes == {"net/run.sh": 0o755, "net/Makefile": 0o644, f"net/{MANIFEST}": 0o644}


def test_second_user_is_told_at_once_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    with Project.open(tmp_path, "net"), pytest.raises(ProjectError, match=f"process {os.getpid()}"):
        Project.open(tmp_path, "net")
    assert waited == []
    with Project.open(tmp_path, "net"):
        pass


def test_a_folder_that_is_refused_is_not_held(tmp_path: Path) -> None:
    with Project.open(tmp_path, "net"):
        pass
    with pytest.raises(ProjectWarning, match="which 'other' replaces") as caught:
        Project.open(tmp_path, "other")
    assert caught.tb  # which has all that was open
    with Project.open(tmp_path, "net"):
        pass


def test_a_new_folder_of_which_nothing_came_is_gone(tmp_path: Path) -> None:
    """With the folders above it; what was there, or has something now, stays."""
    fresh, other, old = tmp_path / "a" / "b", tmp_path / "c", tmp_path / "old"
    old.mkdir()
    for folder, file in ((fresh, None), (other, "x.txt"), (old, None)):
        with pytest.raises(KeyboardInterrupt), Project.open(folder, "net") as project:
            project.write({file: "x"} if file else {})
            raise KeyboardInterrupt
    assert not fresh.parent.exists() and (other / "x.txt").exists() and (old / MANIFEST).exists()
    with Project.open(fresh, "net"):
        pass
    with pytest.raises(KeyboardInterrupt), Project.open(fresh, "net"):
        raise KeyboardInterrupt
    assert (fresh / MANIFEST).exists()


def test_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from bitsmith.base.project import Project\n"
            f"project = Project.open({str(tmp_path)!r}, 'net'); print(1, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    with pytest.raises(ProjectError, match=f"process {holder.pid}"):
        Project.open(tmp_path, "net")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    holder.stdin.close()
    assert int((tmp_path / OWNER).read_text()) == holder.pid
    with Project.open(tmp_path, "net"):
        assert int((tmp_path / OWNER).read_text()) == os.getpid()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a\\..\\x",
        "a\x00b",
        "a\nb",
        MANIFEST,
        LOCK,
        OWNER,
        f"./{LOCK}",
    ],
)
def test_paths_that_do_not_belong(tmp_path: Path, name: str) -> None:
    with Project.open(tmp_path / "p", "net") as project:
        before = (project.folder / MANIFEST).read_bytes()
        with pytest.raises(ProjectError):
            project.write({"good.txt": "1", name: "x"})
        assert not (project.folder / "good.txt").exists()  # all are checked before any is written
        assert (project.folder / MANIFEST).read_bytes() == before


def test_links_do_not_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with Project.open(tmp_path / "p", "net") as project:
        (project.folder / "link").symlink_to(outside)
        with pytest.raises(ProjectError, match="link"):
            project.write({"link/x": "1"})
    assert list(outside.iterdir()) == []


def test_unchanged_files_keep_their_time(tmp_path: Path) -> None:
    with Project.open(tmp_path, "net") as project:
        (path,) = project.write({"a.sv": "1"})
        os.utime(path, (1, 1))
        project.write({"a.sv": "1"})
        assert path.stat().st_mtime == 1
        project.write({"a.sv": "2"})
        assert path.stat().st_mtime > 1


def test_stage_is_skipped_only_for_the_same_digest_and_files(tmp_path: Path) -> None:
    with Project.open(tmp_path, "net") as project:
        (netlist,) = project.write({"synth/netlist.json": "{}"})
        project.record("synth", "d1", {"LUT": 5, "cells": [1, 2]}, 1.23456, "synth/yosys.log", [netlist])
    with Project.open(tmp_path, "net") as project:
        record = project.cached("synth", "d1")
        assert record is not None
        assert (record.result, record.seconds, record.log) == ({"LUT": 5, "cells": [1, 2]}, 1.235, "synth/yosys.log")
        assert project.cached("synth", "d2") is None
        assert project.cached("pnr", "d1") is None
        netlist.write_text("half")
        assert project.cached("synth", "d1") is None
        netlist.unlink()
        assert project.cached("synth", "d1") is None


def test_recorded_files_must_be_inside(tmp_path: Path) -> None:
    with Project.open(tmp_path / "p", "net") as project:
        with pytest.raises(ProjectError, match="not inside"):
            project.record("synth", "d", None, 0.0, tmp_path / "x.log")
        assert project.stages == {}


def test_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def interrupted(file: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, interrupted)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


@given(st.lists(st.one_of(st.text(max_size=4), st.binary(max_size=4)), max_size=4), st.data())
def test_digest_knows_the_parts(parts: list[str | bytes], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.one_of(st.text(max_size=4), st.binary(max_size=4)), max_size=4))
    assert (digest(*parts) == digest(*others)) == (parts == others)


def test_digest_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text("x")
    second.write_text("x")
    assert digest(first) == digest(second)
    second.write_text("y")
    assert digest(first) != digest(second)


@given(st.text())
def test_project_names_are_identifiers(text: str) -> None:
    try:
        name = project_name(text)
    except ProjectError:
        assert not any(character.isascii() and character.isalnum() for character in text)
    else:
        assert name.isascii()
        assert name.isidentifier()


def test_digest_knows_where_parts_begin() -> None:
    assert len({digest("asb"), digest("a", "b"), digest("", "asb"), digest("as", "b"), digest(b"a", b"b")}) == 5
