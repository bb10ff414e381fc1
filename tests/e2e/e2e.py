"""Vocabulary of the end-to-end tests: a private containerd for a class of tests, calls of the CRI,
and a host that has to be afterwards what it was before."""
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "scripts/lib"))

# pylint: disable=wrong-import-position
from lab import host_state, images  # noqa: E402
from lab.containerd import Failure, PrivateContainerd  # noqa: E402

BUILD = pathlib.Path(os.environ.get("COFFER_BUILD") or SOURCE / "build")
RUNTIME = os.environ.get("COFFER_E2E_RUNTIME") or "io.containerd.kata.v2"
IS_VM = "runc" not in RUNTIME
# A VM under emulation on a busy machine; a limit of patience, not a thing that is asserted.
PATIENCE = int(os.environ.get("COFFER_E2E_PATIENCE", "240"))


# On a machine where others run VMs too: texts of what is theirs, separated by commas.
BUSY = tuple(filter(None, os.environ.get("COFFER_E2E_IGNORE", "").split(",")))


def eventually(check, what, seconds=PATIENCE):
    """Waits until check() gives a true value and returns that. For states of other programs that
    offer nothing to wait on."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = check()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


def settled_difference(before, ignore=(), seconds=15):
    """What differs from `before`, once the kernel has finished what it does in the background
    (freeing a network namespace, reaping a group)."""
    deadline = time.monotonic() + seconds
    while True:
        found = [line for line in host_state.difference(before, host_state.snapshot(), ignore + BUSY)
                 if not _is_namespace_group(line)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _is_namespace_group(line):
    """The group named after a containerd namespace, which containerd keeps."""
    path = line.split(" ")[-1]
    return "cgroup" in line and path.rsplit("/", 1)[-1] in ("k8s.io",)


class E2eTest(unittest.TestCase):
    """One private containerd for all tests of a class, and a comparison of the host around them."""
    changes = None
    config_name = "configuration-qemu.toml"
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root")
        cls.before = host_state.snapshot()
        cls.containerd = PrivateContainerd(BUILD, RUNTIME, cls.changes,
                                           config_name=cls.config_name)
        cls.containerd.__enter__()
        cls.addClassCleanup(cls._leave)

    @classmethod
    def _leave(cls):
        cls.containerd.close()
        left = settled_difference(cls.before)
        if left:
            raise AssertionError("left on the host:\n" + "\n".join(left))

    def setUp(self):
        self.addCleanup(self._show_log_of_failure)

    def _show_log_of_failure(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            self.containerd.show_log()

    def ctr(self, *args, **kwargs):
        return self.containerd.ctr(*args, **kwargs)

    def start_detached(self, name, *args, options=()):
        """A container that runs until the test ends."""
        self.containerd.run(name, *args, options=("-d", *options), check=True, timeout=PATIENCE)
        self.addCleanup(self.remove, name)

    def remove(self, name):
        self.ctr("tasks", "delete", "-f", name, check=False)
        self.ctr("containers", "delete", name, check=False)

    def exec(self, name, *args, exec_id="e1", options=(), **kwargs):
        kwargs.setdefault("check", False)
        return self.ctr("tasks", "exec", "--exec-id", exec_id, *options, name, *args, **kwargs)

    # -- CRI --

    def cri(self, method, request, timeout=PATIENCE):
        """Calls SERVICE/METHOD; the service is RuntimeService unless named."""
        target = method if "/" in method else f"RuntimeService/{method}"
        done = subprocess.run(
            [BUILD / "tests/cri_client", self.containerd.address, target, str(timeout)],
            input=json.dumps(request), capture_output=True, text=True, check=False,
            timeout=timeout + 10)
        if done.returncode != 0:
            raise Failure(f"{method}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def run_pod(self, name, **config):
        """Starts a sandbox and returns (id, its configuration)."""
        for image in (images.PAUSE, images.BUSYBOX):
            eventually(lambda i=image: self.cri("ImageService/ImageStatus",
                                                {"image": {"image": i}}).get("image"),
                       f"the CRI knows image {image}", 20)
        sandbox = {"metadata": {"name": name, "uid": f"uid-{name}", "namespace": "e2e"},
                   "hostname": name, "log_directory": str(self.containerd.dir / f"logs-{name}"),
                   "linux": {}, **config}
        answer = self.cri("RunPodSandbox", {"config": sandbox,
                                            "runtime_handler": self.containerd.handler})
        pod = answer["pod_sandbox_id"]
        self.addCleanup(self.remove_pod, pod)
        return pod, sandbox

    def remove_pod(self, pod):
        """Stops and removes a pod, unless it is gone already."""
        for method in ("StopPodSandbox", "RemovePodSandbox"):
            try:
                self.cri(method, {"pod_sandbox_id": pod})
            except Failure as failure:
                if "not found" not in str(failure):
                    raise

    def add_container(self, pod, sandbox, name, command, pid="CONTAINER", resources=None, **config):
        """Creates and starts a container in a pod and returns its id. `pid` says whose processes it
        sees: its own, as the kubelet asks for by default, or the POD's."""
        answer = self.cri("CreateContainer", {
            "pod_sandbox_id": pod, "sandbox_config": sandbox,
            "config": {"metadata": {"name": name}, "image": {"image": images.BUSYBOX},
                       "command": command, "log_path": f"{name}.log",
                       "linux": {"resources": resources or {},
                                 "security_context": {"namespace_options": {"pid": pid}}},
                       **config}})
        self.cri("StartContainer", {"container_id": answer["container_id"]})
        return answer["container_id"]

    def container_status(self, container):
        return self.cri("ContainerStatus", {"container_id": container})["status"]

    def wait_exited(self, container):
        """Returns the status of a container once it has exited."""
        def exited():
            status = self.container_status(container)
            return status if status["state"] == "CONTAINER_EXITED" else None
        return eventually(exited, f"container {container} exits")

    def log_of(self, sandbox, name):
        """What a container printed, by the log that the CRI keeps: lines without their heads."""
        path = pathlib.Path(sandbox["log_directory"]) / f"{name}.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return "".join(line.split(" ", 3)[3] + ("\n" if line.split(" ", 3)[2] == "F" else "")
                       for line in lines)


def main():
    """Runs the module's tests. Exit 77 (skipped) when none could run."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == 0 and result.skipped:
        sys.exit(77)
