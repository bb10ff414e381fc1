"""Makes small OCI images as archives that `ctr images import` takes. The same inputs give the same
bytes, and so the same digests. No registry is asked."""
import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile

BUSYBOX = "localhost/coffer/busybox:latest"
PAUSE = "localhost/coffer/pause:latest"

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


def _add(tar, name, content=None, mode=0o755, target=None):
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if content is not None:
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        return
    entry.type = tarfile.SYMTYPE if target else tarfile.DIRTYPE
    entry.linkname = target or ""
    tar.addfile(entry)


def _layer(files):
    """files: list of (name, kwargs of _add), in order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, kwargs in files:
            _add(tar, name, **kwargs)
    return out.getvalue()


def _blob(tar, content):
    digest = hashlib.sha256(content).hexdigest()
    _add(tar, f"blobs/sha256/{digest}", content, 0o644)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def write_image(path, name, files, command, labels=None):
    """Writes an OCI image layout (image-spec 1.0) with one layer to the tar archive `path`."""
    layer = _layer(files)
    packed = gzip.compress(layer, mtime=0)
    config = {
        "architecture": "amd64", "os": "linux",
        "config": {"Env": ["PATH=/usr/bin:/bin"], "Cmd": command, "Labels": labels or {}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    media = "application/vnd.oci.image"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        manifest = {
            "schemaVersion": 2, "mediaType": f"{media}.manifest.v1+json",
            "config": {"mediaType": f"{media}.config.v1+json",
                       **_blob(tar, json.dumps(config, sort_keys=True).encode())},
            "layers": [{"mediaType": f"{media}.layer.v1.tar+gzip", **_blob(tar, packed)}],
        }
        top = {"mediaType": f"{media}.manifest.v1+json",
               **_blob(tar, json.dumps(manifest, sort_keys=True).encode()),
               "annotations": {"io.containerd.image.name": name,
                               "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}}
        index = {"schemaVersion": 2, "mediaType": f"{media}.index.v1+json", "manifests": [top]}
        _add(tar, "index.json", json.dumps(index, sort_keys=True).encode(), 0o644)
        _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)


def write_busybox(path, busybox="/bin/busybox", name=BUSYBOX):
    """A shell and its tools, out of Debian's busybox-static."""
    program = pathlib.Path(busybox).read_bytes()
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True,
                             text=True).stdout.split()
    folders = ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var"]
    files = [(folder, {"mode": 0o1777 if folder == "tmp" else 0o755}) for folder in folders]
    files += [("bin/busybox", {"content": program}),
              ("etc/passwd", {"content": PASSWD.encode(), "mode": 0o644}),
              ("etc/group", {"content": GROUP.encode(), "mode": 0o644})]
    files += [(f"bin/{applet}", {"target": "busybox"}) for applet in sorted(applets)
              if applet != "busybox"]
    write_image(path, name, files, ["/bin/sh"])


def write_pause(path, pause):
    """The image of a pod's sandbox: the pause program and nothing else."""
    write_image(path, PAUSE, [("pause", {"content": pathlib.Path(pause).read_bytes()})],
                ["/pause"])
