"""What a pod could leave behind on a host, as sets that are compared before and after."""
import os
import pathlib
import subprocess

# Programs that only a pod starts.
PROGRAMS = ("containerd-shim", "qemu-system", "virtiofsd", "kata-agent", "crun", "pause", "swtpm")
FOLDERS = ("/run/kata", "/run/kata-containers", "/run/vc", "/run/containerd/s", "/run/netns",
           "/var/lib/cni/results", "/run/coffer")
# What the first pod of a host makes for all that follow: the folder above their shares, and whether KVM
# can be used.
KEPT = {"/run/kata-containers/shared", "/run/kata-containers/shared/sandboxes",
        "/run/kata/kvm-probe"}
CGROUPS = "/sys/fs/cgroup"


def _processes():
    found = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and command and any(
                command.split()[0].rsplit("/", 1)[-1].startswith(name) for name in PROGRAMS):
            found.add(f"process {entry.name}: {command.strip()[:120]}")
    return found


def _links():
    """Network interfaces, and the traffic filters on them."""
    found = set()
    out = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        name = line.split(": ")[1].split("@")[0]
        found.add(f"link {name}")
        filters = subprocess.run(["tc", "filter", "show", "dev", name, "ingress"],
                                 capture_output=True, text=True, check=False).stdout
        found |= {f"filter {name}: {filter_}" for filter_ in filters.splitlines()}
    return found


def _mounts():
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    return {f"mount {line.split()[1]} ({line.split()[2]})" for line in lines}


def _files():
    found = set()
    for folder in FOLDERS:
        for path in pathlib.Path(folder).rglob("*"):
            if str(path) not in KEPT:
                found.add(f"file {path}")
    return found


def _sockets():
    lines = pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]
    paths = {line.split()[7] for line in lines if len(line.split()) > 7}
    return {f"socket {path}" for path in paths if "kata" in path or "coffer" in path
            or "containerd/s/" in path}


def _runners_groups():
    """Folders whose groups come and go with whoever runs the tests: those beside this process's."""
    lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    parents = {os.path.dirname(line.split(":", 2)[2]) for line in lines}
    return tuple(f"{parent}/" for parent in parents if parent != "/")


def _cgroups():
    runners = _runners_groups()
    return {f"cgroup {path}" for path in pathlib.Path(CGROUPS).rglob("*")
            if path.is_dir() and not path.is_symlink()
            and not any(part in str(path) for part in runners)}


def snapshot():
    """Everything there is, as readable lines."""
    return _processes() | _links() | _mounts() | _files() | _sockets() | _cgroups()


def difference(before, after, ignore=()):
    """What came and what went, sorted; lines that hold one of `ignore` are left out."""
    lines = [f"+ {line}" for line in after - before] + [f"- {line}" for line in before - after]
    return sorted(line for line in lines if not any(text in line for text in ignore))
