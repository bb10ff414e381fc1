"""A containerd of our own: its root, state, sockets, CNI network and images lie in one temporary
folder, and nothing of a system containerd is touched."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from . import images

SOURCE = pathlib.Path(__file__).resolve().parents[3]
RUNTIME = "io.containerd.kata.v2"
START_SECONDS = 30

CONFIG = """version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]
      runtime_type = "io.containerd.kata.v2"
      privileged_without_host_devices = true
      pod_annotations = ["io.katacontainers.*"]
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata.options]
        ConfigPath = "{config}"
"""


class Failure(Exception):
    """Something did not come out as it has to. The message is for the person who reads it."""


def write_runtime_config(build, target, changes=None, name="configuration-qemu.toml"):
    """Writes the installed configuration with the build tree's paths in place of the prefix's.
    `changes` maps a key to its new value, as TOML text."""
    build = pathlib.Path(build)
    installed = build / "share/defaults/kata-containers" / name
    text = (installed if installed.exists() else SOURCE / "configs" / name).read_text()
    text = text.replace("/opt/kata/share/kata-containers", str(build / "share/kata-containers"))
    for key, value in (changes or {}).items():
        text, count = re.subn(rf"(?m)^#?\s*{re.escape(key)}\s*=.*$", f"{key} = {value}", text,
                              count=1)
        if count == 0:
            raise Failure(f"change '{key}' in {name}: no such line")
    pathlib.Path(target).write_text(text)


class PrivateContainerd:
    """Use as a context: `with PrivateContainerd(build) as containerd: containerd.ctr(...)`.

    build: the build tree (or an install prefix) that holds bin/ and share/. With `runtime` set to
    io.containerd.runc.v2 the same tests run with runc, which shows that the harness is right.
    """

    def __init__(self, build, runtime=None, changes=None, keep=False, shim_dir=None,
                 config_name="configuration-qemu.toml"):
        self.build = pathlib.Path(build).resolve()
        self.runtime = runtime or os.environ.get("COFFER_E2E_RUNTIME", RUNTIME)
        self.handler = "runc" if "runc" in self.runtime else "kata"
        self.keep = keep
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-"))
        self.address = str(self.dir / "containerd.sock")
        self.config = self.dir / "configuration.toml"
        self.bridge = f"cof{os.getpid() % 10**8}"
        self.subnet = f"10.{100 + os.getpid() % 100}.{os.getpid() // 100 % 200}"
        # runc's state and the groups are named after the namespace: one of our own meets nobody's.
        self.namespace = f"coffer-{os.getpid()}"
        self.process = None
        self.snapshotter = os.environ.get("COFFER_E2E_SNAPSHOTTER", "overlayfs")
        self.path = f"{shim_dir or self.build / 'bin'}:{os.environ['PATH']}"
        self.log = self.dir / "containerd.log"
        if self.handler == "kata":
            write_runtime_config(self.build, self.config, changes, config_name)

    # -- life cycle --

    def __enter__(self):
        try:
            self._write_files()
            self.start()
            self._import_images()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.show_log()
        self.close()

    def _write_files(self):
        (self.dir / "cni").mkdir()
        network = {
            "cniVersion": "0.4.0", "name": self.bridge,
            "plugins": [{
                "type": "bridge", "bridge": self.bridge, "isGateway": True, "ipMasq": False,
                "ipam": {"type": "host-local", "dataDir": str(self.dir / "ipam"),
                         "ranges": [[{"subnet": f"{self.subnet}.0/24"}]],
                         "routes": [{"dst": "0.0.0.0/0"}]}}],
        }
        (self.dir / "cni/10-coffer.conflist").write_text(json.dumps(network))
        (self.dir / "config.toml").write_text(CONFIG.format(
            dir=self.dir, pause=images.PAUSE, config=self.config, snapshotter=self.snapshotter))

    def start(self):
        """Starts containerd and returns when it says that it serves (sd_notify's READY=1)."""
        notify = self.dir / "notify.sock"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self.log, "ab") as log:
            ready.bind(str(notify))
            ready.settimeout(1)
            self.process = subprocess.Popen(
                ["containerd", "--config", str(self.dir / "config.toml"), "--log-level", "debug"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": self.path, "NOTIFY_SOCKET": str(notify)})
            self._await_ready(ready)

    def _await_ready(self, ready):
        for _ in range(START_SECONDS):
            try:
                if b"READY=1" in ready.recv(4096):
                    return
            except TimeoutError:
                if self.process.poll() is not None:
                    break
        self.show_log()
        raise Failure(f"start containerd: it does not serve (exit code {self.process.poll()})")

    def stop(self, how=signal.SIGTERM):
        """Ends containerd alone; its shims live on."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _import_images(self):
        pause = self.build / "guest-image/pause"
        images.write_busybox(self.dir / "busybox.tar")
        if pause.exists():
            images.write_pause(self.dir / "pause.tar", pause)
        for archive in sorted(self.dir.glob("*.tar")):
            for namespace in (self.namespace, "k8s.io"):
                self.ctr("-n", namespace, "images", "import", "--snapshotter", self.snapshotter,
                         str(archive))

    def close(self):
        """Removes every trace: containers, containerd, mounts, network, files."""
        if self.process is not None:
            self._remove_containers()
        self.stop()
        subprocess.run(["ip", "link", "del", self.bridge], check=False, capture_output=True)
        for cached in pathlib.Path("/var/lib/cni/results").glob(f"{self.bridge}-*"):
            cached.unlink(missing_ok=True)
        self._unmount()
        for group in pathlib.Path("/sys/fs/cgroup").glob(f"**/{self.namespace}"):
            group.rmdir()
        if self.keep:
            return
        shutil.rmtree(self.dir, ignore_errors=True)

    def _remove_containers(self):
        for namespace in (self.namespace, "k8s.io"):
            listed = self.ctr("-n", namespace, "containers", "list", "-q", check=False, timeout=20)
            for name in listed.stdout.split():
                for command in (["tasks", "kill", "-s", "SIGKILL", name],
                                ["tasks", "delete", "-f", name], ["containers", "delete", name]):
                    self.ctr("-n", namespace, *command, check=False, timeout=60)

    def _unmount(self):
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        for line in reversed(mounts):
            target = line.split()[1]
            if target.startswith(str(self.dir) + "/"):
                subprocess.run(["umount", "-l", target], check=False, capture_output=True)

    def show_log(self):
        """Prints what containerd and the shims had to say, without the chatter of a start."""
        if not self.log.exists():
            return
        chatter = ("level=debug", "loading plugin", "skip loading", "Image", "cri plugin with",
                   "serving...", "metadata content store", "Start ")
        lines = [line for line in self.log.read_text(errors="replace").splitlines()
                 if not any(text in line for text in chatter)]
        print("--- containerd's log, its last lines ---")
        print("\n".join(lines[-40:]), flush=True)

    # -- use --

    def command(self, *args):
        """The command line of ctr with our address and, unless args name one, our namespace."""
        namespace = [] if "-n" in args else ["-n", self.namespace]
        return ["ctr", "--address", self.address, *namespace, *args]

    def ctr(self, *args, check=True, timeout=180, **kwargs):
        """Runs ctr and returns the completed process, with text unless told otherwise."""
        kwargs.setdefault("text", True)
        kwargs.setdefault("stdin", subprocess.DEVNULL if "input" not in kwargs else None)
        if kwargs["stdin"] is None:
            del kwargs["stdin"]
        done = subprocess.run(self.command(*args), capture_output=True, check=False,
                              timeout=timeout, **kwargs)
        if check and done.returncode != 0:
            raise Failure(f"ctr {' '.join(args)}: exit {done.returncode}: {done.stderr}")
        return done

    def run_args(self, name, *args, options=(), image=images.BUSYBOX):
        """Arguments of `ctr run` for a container of our runtime."""
        config = [] if self.handler == "runc" else ["--runtime-config-path", str(self.config)]
        return ["run", "--runtime", self.runtime, *config, "--snapshotter", self.snapshotter,
                *options, image, name, *args]

    def run(self, name, *args, options=("--rm",), check=False, **kwargs):
        """`ctr run`, to its end unless `options` hold -d."""
        return self.ctr(*self.run_args(name, *args, options=options), check=check, **kwargs)
