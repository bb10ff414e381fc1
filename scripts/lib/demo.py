"""Shows Coffer at work on this machine, from nothing: installs what is needed, builds, starts a
containerd of its own, runs a container in a VM of its own, tells where the time went, cleans up.

  scripts/demo            a container in its own VM
  scripts/demo pod        the same
  scripts/demo attestation  a key broker that is told what a pod has to measure, and a container that
                            reads a secret from it after its guest has attested: as an emulated SNP
                            guest, as an emulated TDX guest, and with a software TPM
  scripts/demo --help

A system containerd is never touched.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "scripts/lib"))
sys.dont_write_bytecode = True

from lab import images  # noqa: E402 pylint: disable=wrong-import-position
from lab.kbs import PrivateKbs  # noqa: E402 pylint: disable=wrong-import-position
from lab.launch import reference_values  # noqa: E402 pylint: disable=wrong-import-position
from lab.containerd import Failure, PrivateContainerd  # noqa: E402 pylint: disable=wrong-import-position

PHASES = (("shim_start_ms", "shim start"), ("launch_ms", "launch measured"),
          ("qemu_exec_ms", "QEMU exec"),
          ("kernel_to_agent_ms", "kernel to agent"), ("agent_ready_ms", "agent ready"),
          ("container_created_ms", "container created"), ("started_ms", "started"))


def say(text):
    print(f"\n== {text}", flush=True)


def run(*command):
    done = subprocess.run(command, cwd=SOURCE, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: exit {done.returncode}")


def build_and_install(prefix):
    """Builds the release and lays it out below `prefix` as it would be below /opt/kata."""
    say("installing what is missing (scripts/setup)")
    run("scripts/setup")
    say("building")
    run("cmake", "--preset", "release", "--log-level=WARNING")
    run("cmake", "--build", "--preset", "release", "--target", "coffer_programs",
        "coffer_pause", "cri_client", "--", "--quiet")
    say(f"installing to {prefix}")
    with open(os.devnull, "w", encoding="ascii") as nothing:
        subprocess.run(["cmake", "--install", "build", "--prefix", prefix], cwd=SOURCE, check=True,
                       stdout=nothing)
    shutil.copytree(SOURCE / "build/guest-image", prefix / "guest-image",
                    ignore=lambda _, names: [name for name in names if name != "pause"])


class PhaseWatch(threading.Thread):
    """Keeps the phases that a shim writes while its pod lives."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.path = pathlib.Path("/run/kata") / name / "phases.json"
        self.ended = threading.Event()
        self.phases = {}

    def run(self):
        while not self.ended.wait(0.02):
            try:
                self.phases = json.loads(self.path.read_text())
            except (OSError, ValueError):
                pass


def print_phases(phases):
    if not phases:
        print("(the shim wrote no start-up phases)")
        return
    print(f"{'phase':<20} {'ms':>8}")
    for key, label in PHASES:
        if key in phases:
            print(f"{label:<20} {phases[key]:>8.0f}")


def demo_pod(prefix):
    """A container whose output shows that its kernel is not the host's."""
    with PrivateContainerd(prefix) as containerd:
        name = f"demo-{os.getpid()}"
        script = ("echo hello; echo kernel $(uname -r); echo memory $(free -m | awk "
                  "'/^Mem/ {print $2}') MiB; sleep 1; exit 7")
        command = containerd.command(*containerd.run_args(name, "sh", "-c", script,
                                                          options=("--rm",)))
        say("running a container in a VM of its own:")
        print("   " + " ".join(command), flush=True)
        watch = PhaseWatch(name)
        watch.start()
        started = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True) as ctr:
            lines, first = [], None
            for line in ctr.stdout:
                first = first or time.monotonic()
                lines.append(line.rstrip())
                print(f"   | {line.rstrip()}", flush=True)
        watch.ended.set()
        watch.join()
        report(ctr.returncode, lines, first and first - started, watch.phases)


def report(code, lines, seconds, phases):
    if code != 7 or "hello" not in lines:
        raise Failure(f"the container: exit {code}, output {lines}")
    kernel = next(line.split()[1] for line in lines if line.startswith("kernel "))
    if kernel == platform.release():
        raise Failure(f"the container ran on the host's kernel {kernel}")
    say(f"exit code 7, as asked; kernel {kernel} in the VM, {platform.release()} on the host")
    print(f"first output after {seconds * 1000:.0f} ms, of which:")
    print_phases(phases)


def cri(containerd, method, request):
    """A call of the CRI, by the tests' client."""
    target = method if "/" in method else f"RuntimeService/{method}"
    done = subprocess.run([SOURCE / "build/tests/cri_client", containerd.address, target, "300"],
                          input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{method}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def wait_for_images(containerd):
    """The CRI hears of imported images a moment later."""
    deadline = time.monotonic() + 60
    for image in (images.PAUSE, images.BUSYBOX):
        asked = {"image": {"image": image}}
        while not cri(containerd, "ImageService/ImageStatus", asked).get("image"):
            if time.monotonic() > deadline:
                raise Failure(f"containerd's CRI does not know image {image}")
            time.sleep(0.05)


def write_initdata(folder, url, certificate):
    policy = (SOURCE / "configs/policies/allow-all.rego").read_text()
    path = folder / "initdata.toml"
    path.write_text('version = "0.1.0"\nalgorithm = "sha384"\n[data]\n'
                    f"\"policy.rego\" = '''\n{policy}'''\n\"aa.toml\" = '''\n"
                    f'[token_configs.kbs]\nurl = "{url}"\ncert = """\n{certificate}"""\n'
                    "'''\n")
    return path


def pack(prefix, initdata):
    """The annotation that carries it."""
    return subprocess.run([prefix / "bin/coffer", "initdata", "pack", initdata], check=True,
                          capture_output=True, text=True).stdout.strip()


def run_attested_pod(containerd, annotation):
    """Starts a pod whose container fetches the secret; returns what it printed and the phases of the
    start, with how long the whole took until the secret was there."""
    sandbox = {"metadata": {"name": "demo", "uid": "demo", "namespace": "demo"}, "hostname": "demo",
               "log_directory": str(containerd.dir / "logs"), "linux": {},
               "annotations": {"io.katacontainers.config.hypervisor.cc_init_data": annotation}}
    wait_for_images(containerd)
    started = time.monotonic()
    pod = cri(containerd, "RunPodSandbox", {"config": sandbox,
                                            "runtime_handler": "kata"})["pod_sandbox_id"]
    try:
        ready = time.monotonic()
        fetch = "wget -q -O - http://127.0.0.1:8006/cdh/resource/default/key/1"
        container = cri(containerd, "CreateContainer", {
            "pod_sandbox_id": pod, "sandbox_config": sandbox,
            "config": {"metadata": {"name": "main"}, "image": {"image": images.BUSYBOX},
                       "command": ["sh", "-c", fetch], "log_path": "main.log", "linux": {}}})
        cri(containerd, "StartContainer", container)
        while cri(containerd, "ContainerStatus", container)["status"]["state"] != "CONTAINER_EXITED":
            time.sleep(0.05)
        seconds = {"pod": ready - started, "secret": time.monotonic() - ready}
        phases = json.loads((pathlib.Path("/run/kata") / pod / "phases.json").read_text())
        return (containerd.dir / "logs/main.log").read_text(), phases, seconds
    finally:
        cri(containerd, "StopPodSandbox", {"pod_sandbox_id": pod})
        cri(containerd, "RemovePodSandbox", {"pod_sandbox_id": pod})


def attested_pod_of(tee, prefix, folder):
    """A key broker, what it is told, a pod, and what the broker saw of it."""
    changes = {"tee": f'"{tee}"', "shared_fs": '"virtio-9p"', "default_memory": "512",
               "experimental_force_guest_pull": "false", "emptydir_mode": '"shared-fs"',
               "tee_emulation_vendor": f'"{folder}/vendor"'}
    with PrivateContainerd(prefix, changes=changes,
                           config_name="configuration-qemu-coco-dev.toml") as containerd:
        address = f"{containerd.subnet}.1"
        say(f"{tee} (emulated): what a pod of the class will measure, from its configuration:")
        values = reference_values(prefix, containerd.config)
        print(json.dumps(values, indent=1))
        with PrivateKbs(prefix, names=[address], vendor=folder / "vendor", tees=[tee]) as kbs:
            say("a key broker that is told these values, and a secret at default/key/1")
            kbs.set_reference_values(values)
            kbs.set_resource("default/key/1", b"the secret\n")
            initdata = write_initdata(folder, f"https://{address}:{kbs.port}", kbs.certificate)
            say("the pod's initdata, with the agent's policy: no other is believed")
            kbs.register_initdata(initdata)
            say("a pod whose initdata names the broker; its container asks for the secret:")
            printed, phases, seconds = run_attested_pod(containerd, pack(prefix, initdata))
            print(f"   | {printed.strip()}")
            if "the secret" not in printed:
                raise Failure("the container did not get the secret")
            say("what the broker checked:")
            print(kbs.coffer("attestations", "--id", kbs.attestations()[0]["id"]))
            say("where the time went:")
            print_phases(phases)
            print(f"{'pod, attested':<20} {seconds['pod'] * 1000:>8.0f}\n"
                  f"{'container, secret':<20} {seconds['secret'] * 1000:>8.0f}")


def demo_attestation(prefix):
    """A secret for the guest that proves what it is, and for no other: nothing but the default
    policies and registered reference values."""
    for tee in ("snp", "tdx", "tpm"):
        with tempfile.TemporaryDirectory(prefix="coffer-demo-") as name:
            attested_pod_of(tee, prefix, pathlib.Path(name))


DEMOS = {"pod": demo_pod, "attestation": demo_attestation}


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="pod", choices=sorted(DEMOS))
    parser.add_argument("--no-build", metavar="PREFIX", type=pathlib.Path,
                        help="use what is installed there instead of building")
    args = parser.parse_args()
    if os.geteuid() != 0:
        raise Failure("not root (run: sudo scripts/demo)")
    if args.no_build:
        needed = [SOURCE / "build/tests/cri_client", args.no_build / "guest-image/pause"]
        missing = [str(path) for path in needed if not path.exists()]
        if args.what == "attestation" and missing:
            raise Failure(f"--no-build: {' and '.join(missing)}: not there (build the targets "
                          "coffer_pause and cri_client, and copy build/guest-image/pause)")
        DEMOS[args.what](args.no_build)
        return
    with tempfile.TemporaryDirectory(prefix="coffer-demo-") as folder:
        prefix = pathlib.Path(folder) / "kata"
        build_and_install(prefix)
        DEMOS[args.what](prefix)
    say("cleaned up: nothing of it is left")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"demo: {failure}")
