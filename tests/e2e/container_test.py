"""A container by ctr: its output, exit codes, terminal, signals, and what else ctr can ask."""
import fcntl
import hashlib
import json
import os
import platform
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

from e2e import IS_VM, PATIENCE, E2eTest, eventually, main

MIB = 1024 * 1024


class Terminal:
    """ctr on a pseudo terminal of ours."""

    def __init__(self, command, rows=24, columns=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.output = ""
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        """Appends what comes to self.output; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            got = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += got.decode(errors="replace")
        return bool(got)

    def expect(self, pattern, seconds=PATIENCE):
        """Reads until `pattern` matches what came since the last match."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.output)
            if found:
                self.output = self.output[found.end():]
                return found
            if time.monotonic() > deadline or not self.read(0.5):
                raise AssertionError(f"terminal: wanted {pattern!r}, got {self.output!r}")

    def wait(self, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while self.read(0.5):
            if time.monotonic() > deadline:
                raise AssertionError(f"terminal: no end, got {self.output!r}")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


class RunTest(E2eTest):
    """Containers that run to their end."""

    def test_output_and_exit_code(self):
        done = self.containerd.run("hello", "sh", "-c",
                                   "echo hello; echo oops >&2; uname -r; exit 7")
        self.assertEqual(done.returncode, 7, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "hello")
        self.assertIn("oops", done.stderr)
        self.assertEqual(lines[1] != platform.release(), IS_VM)

    def test_exit_code_of_a_signal(self):
        command = self.containerd.command(*self.containerd.run_args(
            "killed", "sh", "-c", "echo up; exec sleep 1000", options=("--rm",)))
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True) as run:
            self.assertEqual(run.stdout.readline(), "up\n")
            self.ctr("tasks", "kill", "-s", "SIGKILL", "killed")
        self.assertEqual(run.returncode, 137)

    def test_a_program_that_is_not_there_is_named(self):
        done = self.containerd.run("nothing", "/no/such/program")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/no/such/program", done.stderr)

    def test_terminal_with_resize_and_interrupt(self):
        command = self.containerd.command(*self.containerd.run_args(
            "terminal", "sh", options=("--rm", "-t")))
        terminal = Terminal(command)
        self.addCleanup(terminal.close)
        terminal.send("tty && echo is-a-tt''y\n")
        terminal.expect("is-a-tty")
        terminal.resize(41, 97)
        eventually(lambda: self._size(terminal) == "41 97", "the new size arrives")
        # The shell is waiting for its child, and the terminal makes a signal of Ctrl-C.
        terminal.send("sh -c 'echo wait\"\"ing; exec sleep 1000'\n")
        terminal.expect("waiting")
        terminal.send("\x03")
        terminal.send('echo sta""tus $? end\n')
        terminal.expect(r"status 130 end")
        terminal.send("exit 5\n")
        self.assertEqual(terminal.wait(), 5)

    @staticmethod
    def _size(terminal):
        terminal.send('echo si""ze: $(stty size 2>&1) end\n')
        found = terminal.expect(r"size: (.*?) end")
        return found.group(1)

    def test_bind_mount_of_a_folder_and_a_file(self):
        folder = self.containerd.dir / "shared"
        folder.mkdir()
        (folder / "in").write_text("from the host\n")
        mount = f"type=bind,src={folder},dst=/mnt/shared,options=rbind:rw"
        single = f"type=bind,src={folder}/in,dst=/mnt/file,options=rbind:ro"
        done = self.containerd.run(
            "mounts", "sh", "-c", "cat /mnt/shared/in /mnt/file; echo back > /mnt/shared/out; "
            "echo no > /mnt/file", options=("--rm", "--mount", mount, "--mount", single))
        self.assertEqual(done.stdout, "from the host\nfrom the host\n", done.stderr)
        self.assertEqual((folder / "out").read_text(), "back\n")
        self.assertNotEqual(done.returncode, 0, "the read-only file was written")

    def test_pids_limit_holds_a_fork_bomb(self):
        done = self.containerd.run(
            "bomb", "sh", "-c",
            "i=0; while [ $i -lt 100 ]; do sleep 300 & i=$((i+1)); done; echo never",
            options=("--rm", "--pids-limit", "20"))
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("never", done.stdout)


class StreamTest(E2eTest):
    """Large and stuck streams."""

    def test_100_mib_through_standard_input(self):
        data = hashlib.sha256(b"seed").digest() * (100 * MIB // 32)
        done = self.containerd.run("in", "sha256sum", input=data, text=False, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.decode().split()[0], hashlib.sha256(data).hexdigest())

    def test_100_mib_through_standard_output(self):
        command = self.containerd.command(*self.containerd.run_args(
            "out", "sh", "-c", f"cat /dev/zero | head -c {100 * MIB}", options=("--rm",)))
        digest, size = hashlib.sha256(), 0
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as ctr:
            while chunk := ctr.stdout.read(MIB):
                digest.update(chunk)
                size += len(chunk)
        self.assertEqual(ctr.returncode, 0)
        self.assertEqual(size, 100 * MIB)
        self.assertEqual(digest.hexdigest(), hashlib.sha256(bytes(100 * MIB)).hexdigest())

    def test_a_reader_that_stops_blocks_only_its_stream(self):
        self.start_detached("stuck", "sleep", "100000")
        command = self.containerd.command("tasks", "exec", "--exec-id", "flood", "stuck", "yes")
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as flood:
            flood.stdout.read(MIB)  # it flows, and from here on nobody reads
            for number in range(3):
                done = self.exec("stuck", "echo", "still here", exec_id=f"free{number}")
                self.assertEqual(done.stdout, "still here\n", done.stderr)
            flood.kill()
        self.ctr("tasks", "kill", "-s", "SIGKILL", "--exec-id", "flood", "stuck")


class RunningTest(E2eTest):
    """What ctr does to a container that runs: one container for all of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.containerd.run("main", "sh", "-c",
                           "trap 'echo usr1 > /tmp/got' USR1; echo up > /tmp/up; "
                           "while :; do sleep 0.2; done",
                           options=("-d", "--env", "COLOUR=blue"), check=True, timeout=PATIENCE)

    def state(self):
        for line in self.ctr("tasks", "list").stdout.splitlines():
            if line.startswith("main "):
                return line.split()[2]
        return "absent"

    def test_exec_has_its_own_exit_code_and_the_containers_environment(self):
        done = self.exec("main", "sh", "-c", "echo $COLOUR; exit 3")
        self.assertEqual((done.stdout, done.returncode), ("blue\n", 3), done.stderr)

    def test_exec_takes_standard_input(self):
        done = self.exec("main", "cat", input="line one\nline two\n")
        self.assertEqual((done.stdout, done.returncode), ("line one\nline two\n", 0), done.stderr)

    def test_execs_run_side_by_side(self):
        results = {}

        def run(number):
            results[number] = self.exec("main", "sh", "-c", f"echo {number}; exit {number}",
                                        exec_id=f"side{number}")
        threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, done in results.items():
            self.assertEqual((done.stdout, done.returncode), (f"{number}\n", number), done.stderr)

    def test_exec_of_a_program_that_is_not_there_is_named(self):
        done = self.exec("main", "/no/such/program")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/no/such/program", done.stderr)
        self.assertEqual(self.exec("main", "echo", "fine", exec_id="after").stdout, "fine\n")

    def test_kill_delivers_the_named_signal(self):
        self.ctr("tasks", "kill", "-s", "SIGUSR1", "main")
        eventually(lambda: self.exec("main", "cat", "/tmp/got").stdout == "usr1\n",
                   "the handler runs")
        self.assertEqual(self.state(), "RUNNING")

    def test_pause_and_resume(self):
        self.ctr("tasks", "pause", "main")
        self.assertEqual(self.state(), "PAUSED")
        self.ctr("tasks", "resume", "main")
        self.assertEqual(self.state(), "RUNNING")
        self.assertEqual(self.exec("main", "echo", "on").stdout, "on\n")

    def test_ps_lists_processes(self):
        lines = self.ctr("tasks", "ps", "main").stdout.splitlines()
        self.assertTrue(lines[0].startswith("PID"))
        self.assertGreaterEqual(len(lines), 2)
        self.assertRegex(lines[1].split()[0], r"^\d+$")

    def test_metrics_show_memory(self):
        usage = json.loads(self.ctr("tasks", "metrics", "--format", "json", "main").stdout)[
            "memory"]["usage"]
        # A group of version 1 nests the figure once more.
        self.assertGreater(usage["usage"] if isinstance(usage, dict) else usage, 0)

    def test_outlives_a_restart_of_containerd(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how=how.name):
                self.containerd.stop(how)
                self.containerd.start()
                self.assertEqual(self.state(), "RUNNING")
                done = self.exec("main", "cat", "/tmp/up", exec_id=f"after{how}")
                self.assertEqual(done.stdout, "up\n", done.stderr)


if __name__ == "__main__":
    main()
