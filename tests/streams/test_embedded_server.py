import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from evdash.events.entry import EntryId
from evdash.streams.client import StillLoading, StreamsUnavailable, call, call_all, open_client
from evdash.streams.embedded_server import EmbeddedServer, EmbeddedServerError
from evdash.streams.loading import Progress
from evdash.streams.reads import read_forward
from tests.streams.conftest import wait_until

MANY = 30_000  # Valkey looks at its connections after every 1,024 commands that it loads


def add(server: EmbeddedServer, count: int) -> None:
    client = open_client(server.url)
    call_all(client, *[("XADD", "s", "*", "a", "x" * 100)] * count)
    client.close()


def length(server: EmbeddedServer) -> int:
    return len(read_forward(open_client(server.url), "s", after=None, count=100_000))


def append_only_file(tmp_path: Path) -> Path:
    return max((tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof"))


def test_what_was_written_is_there_at_the_next_start_on_the_same_port(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        url = server.url
        add(server, 10)
    assert not server.is_running
    with EmbeddedServer(tmp_path) as server:
        assert server.url == url
        assert length(server) == 10
        assert server.remarks == ()


def test_another_port_is_taken_when_the_last_one_is_not_free(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        add(server, 1)
        port = int(server.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), EmbeddedServer(tmp_path) as server:
        assert not server.url.endswith(f":{port}")
        assert length(server) == 1


def test_a_chosen_port_is_used_and_a_taken_one_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedServerError, match=f"Port {port} is in use"):
            EmbeddedServer(tmp_path, port).start()
    with EmbeddedServer(tmp_path, port) as server:
        assert server.url == f"redis://127.0.0.1:{port}"


def test_a_port_taken_in_the_last_moment_is_left_to_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ports = [taken.getsockname()[1], free.getsockname()[1]]
        free.close()
        monkeypatch.setattr("evdash.streams.embedded_server._free_ports", lambda count: ports)
        monkeypatch.setattr("evdash.streams.client.ANSWER_TIMEOUT_S", 0.5)  # the other program never answers
        with EmbeddedServer(tmp_path) as server:
            assert server.url.endswith(f":{ports[1]}")


def test_two_servers_never_share_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evdash.streams.embedded_server.LOCK_WAIT_S", 0.1)
    with EmbeddedServer(tmp_path), pytest.raises(EmbeddedServerError, match="in use by another embedded server"):
        EmbeddedServer(tmp_path).start()


def test_a_directory_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="is not writable: Not a directory"):
        EmbeddedServer(tmp_path / "file").start()


def test_a_path_with_spaces_and_other_signs_works(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / 'a "quoted" é dir') as server:
        assert call(open_client(server.url), "PING")


def test_an_incomplete_last_write_is_dropped_and_told(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        add(server, 10)
    path = append_only_file(tmp_path)
    os.truncate(path, path.stat().st_size - 20)
    with EmbeddedServer(tmp_path) as server:
        assert length(server) == 9
        (remark,) = server.remarks
        assert "ended in an incomplete write" in remark


@pytest.mark.parametrize("damage", ["file", "manifest", "missing"])
def test_damaged_data_is_a_sentence_and_stays_as_it_is(tmp_path: Path, damage: str) -> None:
    with EmbeddedServer(tmp_path) as server:
        add(server, 100)
    path = append_only_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[3_000:3_040] = bytes(40)
    if damage == "file":
        path.write_bytes(content)
    elif damage == "manifest":
        (path.parent / "appendonly.aof.manifest").write_text("garbage\n")
    else:
        path.unlink()
    server = EmbeddedServer(tmp_path)
    with pytest.raises(EmbeddedServerError, match="is damaged and was not loaded") as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert not server.is_running
    if damage == "file":
        assert path.read_bytes() == content


def test_the_server_does_not_hear_the_terminals_interrupt_and_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from evdash.streams.embedded_server import EmbeddedServer\n"
        "server = EmbeddedServer(Path(sys.argv[1])); print(server.start(), server._process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    url, pid = parent.stdout.readline().split()
    assert os.getsid(int(pid)) == int(pid)  # not in the terminal's session, so its Ctrl-C does not reach it
    client = open_client(url)
    call(client, "XADD", "s", "1-1", "a", "1")
    os.killpg(parent.pid, signal.SIGKILL)
    parent.communicate()

    def gone() -> bool:
        try:
            return not call(client, "PING")
        except StreamsUnavailable:
            return True

    wait_until(gone)
    with EmbeddedServer(tmp_path) as server:
        (entry,) = read_forward(open_client(server.url), "s", after=None, count=10)
        assert entry.entry_id == EntryId(1, 1)


def test_a_server_that_is_started_again_after_a_stop_is_the_same(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    server.stop()
    first = server.start()
    server.stop()
    assert server.start() == first
    server.stop()
    assert not server.is_running


def test_it_is_ready_only_when_it_has_loaded_its_data_and_tells_how_far_it_is(
    tmp_path: Path, slowly_loading: None
) -> None:
    with EmbeddedServer(tmp_path) as server:
        add(server, MANY)
    reported: list[Progress] = []

    def go_on(progress: Progress) -> bool:
        reported.append(progress)
        return True

    server = EmbeddedServer(tmp_path)
    try:
        server.start(go_on)
        assert length(server) == MANY
    finally:
        server.stop()
    furthest = max(reported, key=lambda progress: progress.loaded_bytes)
    assert 0 < furthest.loaded_bytes <= furthest.total_bytes


def test_whoever_waits_for_its_data_may_stop_waiting(tmp_path: Path, slowly_loading: None) -> None:
    with EmbeddedServer(tmp_path) as server:
        add(server, MANY)
    server = EmbeddedServer(tmp_path)
    server.start(lambda progress: False)
    with pytest.raises(StillLoading):
        call(open_client(server.url), "PING")
    server.stop()
    with EmbeddedServer(tmp_path) as server:
        assert length(server) == MANY


def test_data_damaged_behind_much_that_is_good_is_the_same_sentence(tmp_path: Path, slowly_loading: None) -> None:
    with EmbeddedServer(tmp_path) as server:
        add(server, MANY)
    path = append_only_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[-2_000:-1_700] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(EmbeddedServerError, match="is damaged and was not loaded"):
        EmbeddedServer(tmp_path).start()
