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
    """Use as a context. `names` stand in its TLS certificate; `vendor` is the folder of an emulator's
    throwaway vendors (tee_emulation_vendor), whose roots are to be trusted for these `tees`.
    `require_affirming`: no token for a guest that the policies do not affirm."""

    def __init__(self, build, names=(), vendor=None, tees=(), require_affirming=True):
        self.program = pathlib.Path(build) / "bin/coffer-kbs"
        self.cli = pathlib.Path(build) / "bin/coffer"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="coffer-kbs-"))
        self.folder = self.dir / "kbs"
        self.process = None
        self.port = None
        arguments = [argument for name in ("localhost", "127.0.0.1", *names)
                     for argument in ("--name", name)]
        subprocess.run([self.program, "init", "--dir", self.folder, "--socket", "0.0.0.0:0", *arguments],
                       check=True, capture_output=True)
        lists = {f"{tee}_roots": vendor / tee / "root.pem" for tee in tees}
        if "tdx" in tees:
            lists["tdx_collateral_dirs"] = vendor / "tdx/collateral"
        with open(self.folder / "coffer-kbs.toml", "a", encoding="ascii") as config:
            if require_affirming:
                config.write("\n[attestation_service]\nrequire_affirming = true\n")
            config.write("\n[verifier]\n")
            for key, path in lists.items():
                config.write(f"{key} = {json.dumps([str(path)])}\n")

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

    def coffer(self, command, *args):
        """What `coffer kbs COMMAND` prints for an administrator of ours."""
        done = subprocess.run(
            [self.cli, "kbs", command, *args, "--url", f"https://127.0.0.1:{self.port}",
             "--cert-file", self.folder / "tls.pem", "--admin-key", self.folder / "admin.key"],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"coffer kbs {command}: {done.stderr.strip()}")
        return done.stdout

    def _file(self, text):
        path = self.dir / "argument"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def set_resource(self, path, secret):
        self.coffer("set-resource", "--path", path, "--file", self._file(secret))

    def set_resource_policy(self, text):
        self.coffer("set-policy", "--file", self._file(text))

    def set_attestation_policy(self, text):
        self.coffer("set-policy", "--type", "attestation", "--file", self._file(text))

    def attestation_policy(self):
        """The text of the default one."""
        return self.admin("GET", "attestation-policy/default_cpu").decode()

    def set_reference_values(self, values):
        """`values`: name to list."""
        self.coffer("set-reference-values", self._file(json.dumps(values)))

    def register_initdata(self, *files):
        """Guests may be started with these, and with no other, initdata."""
        done = subprocess.run([self.cli, "initdata", "digest", "--output-format",
                               "reference-values", *files],
                              check=True, capture_output=True, text=True)
        self.coffer("set-reference-values", self._file(done.stdout))

    def change_reference_values(self, action, *names):
        self.coffer("change-reference-values", "--action", action, *names)

    def attestation(self, identity):
        """The whole record of one attestation."""
        return json.loads(self.coffer("attestations", "--json", "--id", identity))

    def attestations(self):
        return json.loads(self.coffer("attestations", "--json"))
