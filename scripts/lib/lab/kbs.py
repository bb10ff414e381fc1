"""A key broker of our own: made with `coffer-kbs init` in a temporary folder, administered by its key."""
import base64
import json
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


def _b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class PrivateKbs:
    """Use as a context. `names` stand in its TLS certificate; `roots` are further trust anchors of SNP
    (PEM files), as an emulator's."""

    def __init__(self, build, names=(), snp_roots=(), tdx_roots=(), tdx_collateral=()):
        self.program = pathlib.Path(build) / "bin/coffer-kbs"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-kbs-"))
        self.folder = self.dir / "kbs"
        self.process = None
        self.port = None
        arguments = [argument for name in ("localhost", "127.0.0.1", *names)
                     for argument in ("--name", name)]
        subprocess.run([self.program, "init", "--dir", self.folder, "--socket", "0.0.0.0:0", *arguments],
                       check=True, capture_output=True)
        lists = {"snp_roots": snp_roots, "tdx_roots": tdx_roots,
                 "tdx_collateral_dirs": tdx_collateral}
        with open(self.folder / "coffer-kbs.toml", "a", encoding="ascii") as config:
            config.write("\n[verifier]\n")
            for key, files in lists.items():
                config.write(f"{key} = {json.dumps([str(one) for one in files])}\n")

    @property
    def certificate(self):
        """PEM."""
        return (self.folder / "tls.pem").read_text()

    def start(self):
        """Returns once it says where it listens."""
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([self.program, "serve", "--config",
                                             self.folder / "coffer-kbs.toml"],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r":(\d+)\s*$", line)
        if not found:
            raise RuntimeError(f"start coffer-kbs: it said {line!r}; its log: {self.log()}")
        self.port = int(found.group(1))
        return self

    def log(self):
        return (self.dir / "log").read_text()

    def close(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process.stdout.close()
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def _token(self):
        claims = {"role": "admin", "aud": ["KBS"], "exp": int(time.time()) + 300}
        text = ".".join(_b64url(json.dumps(part).encode()) for part in ({"alg": "EdDSA"}, claims))
        message = self.dir / "message"
        message.write_text(text)
        signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey",
                                    self.folder / "admin.key", "-in", message], check=True,
                                   capture_output=True).stdout
        return f"{text}.{_b64url(signature)}"

    def admin(self, method, path, body=None):
        """An administrator's request; returns the reply's bytes."""
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}/kbs/v0/{path}", data=body,
                                         method=method,
                                         headers={"Authorization": f"Bearer {self._token()}"})
        context = ssl.create_default_context(cafile=str(self.folder / "tls.pem"))
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code}: {error.read()!r}") from error

    def set_resource(self, path, secret):
        self.admin("POST", f"resource/{path}", secret)

    def set_resource_policy(self, text):
        self.admin("POST", "resource-policy",
                   json.dumps({"policy": _b64url(text.encode())}).encode())

    def attestations(self):
        return json.loads(self.admin("GET", "attestations"))
