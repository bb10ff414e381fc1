"""What goes wrong in the field, done on purpose: the caller gets one clear line, events say what
happened, and nothing is left on the host."""
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from e2e import (BUILD, IS_VM, PATIENCE, RUNTIME, E2eTest, PrivateContainerd, eventually,
                 host_state, main, settled_difference)

CYCLES = int(os.environ.get("COFFER_E2E_CYCLES", "50"))


def processes(name, text):
    """Processes whose program is called `name` and whose command line holds `text`."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0].rsplit("/", 1)[-1].startswith(name) and any(text in word for word in words):
            found.append(int(entry.name))
    return found


@unittest.skipUnless(IS_VM, "needs a VM")
class FaultTest(E2eTest):
    """A running container, and one of its parties killed."""

    def setUp(self):
        super().setUp()
        self.quiet = host_state.snapshot()
        self.name = "victim"
        self.containerd.run(self.name, "sh", "-c", "echo up; exec sleep 100000",
                            options=("-d",), check=True, timeout=PATIENCE)
        self.addCleanup(self.remove, self.name)

    def kill_all(self, program):
        victims = processes(program, self.name)
        self.assertTrue(victims, f"no process {program} of {self.name}")
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

    def expect_stopped(self):
        def stopped():
            lines = self.ctr("tasks", "list").stdout.splitlines()[1:]
            states = [line.split()[2] for line in lines if line.split()[0] == self.name]
            return not states or states == ["STOPPED"]
        eventually(stopped, "containerd sees the container stopped")

    def expect_nothing_left(self):
        self.remove(self.name)
        self.assertEqual(settled_difference(self.quiet, ("containerd.sock",)), [])

    def test_kill_of_qemu_stops_the_container(self):
        self.kill_all("qemu-system")
        self.expect_stopped()
        self.expect_nothing_left()

    def test_kill_of_the_shim_leaves_nothing(self):
        self.kill_all("containerd-shim-kata")
        self.expect_stopped()
        self.expect_nothing_left()

    def test_kill_of_the_agent_stops_the_container(self):
        # PID 1 cannot be killed by name in its own guest; a panic of the guest's kernel ends it.
        self.exec_in_guest_panic()
        self.expect_stopped()
        self.expect_nothing_left()

    def exec_in_guest_panic(self):
        """Panics the guest through its kernel, from a container that is allowed to."""
        self.remove(self.name)
        self.containerd.run(self.name, "sleep", "100000", options=("-d", "--privileged"),
                            check=True, timeout=PATIENCE)
        command = self.containerd.command(
            "tasks", "exec", "--exec-id", "panic", self.name, "sh", "-c",
            "mount -t proc proc /proc; echo c > /proc/sysrq-trigger")
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as panic:
            panic.wait(PATIENCE)

    def test_kill_of_containerd_leaves_the_container_running(self):
        self.containerd.stop(signal.SIGKILL)
        self.containerd.start()
        self.assertEqual(self.exec(self.name, "echo", "alive").stdout, "alive\n")
        self.ctr("tasks", "kill", "-s", "SIGKILL", self.name)
        self.expect_stopped()
        self.expect_nothing_left()


@unittest.skipUnless(IS_VM, "needs a VM")
class RefusalTest(unittest.TestCase):
    """A start that cannot work says why, in one line, and leaves nothing."""

    def refused(self, pattern, changes=None, before_run=None):
        before = host_state.snapshot()
        with PrivateContainerd(BUILD, RUNTIME, changes) as containerd:
            if before_run:
                self.addCleanup(before_run(containerd))
            done = containerd.run("refused", "echo", "never", timeout=PATIENCE)
            self.assertNotEqual(done.returncode, 0)
            self.assertNotIn("never", done.stdout)
            self.assertRegex(done.stderr, pattern)
            self.assertLessEqual(len(done.stderr.strip().splitlines()), 2, done.stderr)
            self.doCleanups()
        self.assertEqual(settled_difference(before), [])

    def test_a_missing_kernel_is_named(self):
        self.refused(r"/no/such/vmlinuz", {"kernel": '"/no/such/vmlinuz"'})

    def test_a_wrong_type_names_file_line_and_key(self):
        self.refused(r"configuration\.toml:\d+.*default_vcpus|configuration\.toml.*line \d+",
                     {"default_vcpus": '"many"'})

    def test_an_unusable_kvm_is_named(self):
        self.refused(r"(?i)kvm", {"accelerator": '"kvm"'})

    def test_a_full_run_is_named(self):
        def fill(_containerd):
            existed = pathlib.Path("/run/kata").exists()
            os.makedirs("/run/kata", exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "tmpfs",
                            "/run/kata"], check=True)

            def undo():
                subprocess.run(["umount", "-l", "/run/kata"], check=True)
                if not existed:
                    shutil.rmtree("/run/kata", ignore_errors=True)
            return undo
        self.refused(r"(?i)/run/kata.*no space left", before_run=fill)


class SoakTest(E2eTest):
    """Start and stop, many times: the host stays as it was."""

    def test_cycles_leave_the_host_as_it_was(self):
        quiet = host_state.snapshot()
        for number in range(CYCLES):
            done = self.containerd.run(f"cycle{number}", "sh", "-c", f"echo {number}; exit 3",
                                       timeout=PATIENCE)
            self.assertEqual((done.stdout, done.returncode), (f"{number}\n", 3), done.stderr)
        self.assertEqual(settled_difference(quiet), [])


if __name__ == "__main__":
    main()
