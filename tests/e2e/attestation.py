"""Vocabulary of the attestation tests: pods of the development class, their tenant's initdata, and a
key broker that knows what such a pod measures."""
import pathlib
import shutil
import subprocess
import tempfile

from e2e import BUILD, SOURCE, E2eTest
from lab.containerd import Failure, write_runtime_config
from lab.kbs import PrivateKbs
from lab.launch import reference_values

ANNOTATION = "io.katacontainers.config.hypervisor.cc_init_data"
POLICY = (SOURCE / "configs/policies/allow-all.rego").read_text()
CONFIG = "configuration-qemu-coco-dev.toml"


def coffer(*args):
    """What the built `coffer` prints."""
    return subprocess.run([BUILD / "bin/coffer", *args], check=True, capture_output=True,
                          text=True).stdout


def initdata(folder, name="initdata.toml", aa="", policy=POLICY):
    """Writes an initdata file and returns its annotation."""
    path = pathlib.Path(folder) / name
    path.write_text('version = "0.1.0"\nalgorithm = "sha384"\n[data]\n'
                    f"\"policy.rego\" = '''\n{policy}'''\n\"aa.toml\" = '''\n{aa}'''\n")
    return coffer("initdata", "pack", str(path)).strip()


class DevClassTest(E2eTest):
    """Pods of the development class, SNP guests unless said otherwise. Their root filesystems are
    shared by the host, for these tests are not about pulling."""
    tee = "snp"

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-attestation-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.vendor = cls.folder / "vendor"
        cls.config_name = CONFIG
        cls.changes = {"tee": f'"{cls.tee}"', "shared_fs": '"virtio-9p"',
                       "experimental_force_guest_pull": "false",
                       "emptydir_mode": '"shared-fs"', "default_memory": "512",
                       "tee_emulation_vendor": f'"{cls.vendor}"', **cls.class_changes()}
        super().setUpClass()

    @classmethod
    def class_changes(cls):
        return {}

    def refused(self, name, **config):
        """The error of a pod that must not start."""
        try:
            self.run_pod(name, **config)
        except Failure as failure:
            return str(failure)
        raise AssertionError(f"pod {name} started")

    def with_changes(self, **changes):
        """Further pods of this test are of a class with these keys instead."""
        self.addCleanup(write_runtime_config, BUILD, self.containerd.config, self.changes, CONFIG)
        write_runtime_config(BUILD, self.containerd.config, {**self.changes, **changes}, CONFIG)


class KbsClassTest(DevClassTest):
    """Pods that attest to a key broker on this host, by its default policies: it knows what a pod
    measures before there is one, and refuses every other."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.values = reference_values(BUILD, cls.containerd.config)
        cls.address = f"{cls.containerd.subnet}.1"
        cls.kbs = PrivateKbs(BUILD, names=[cls.address], vendor=cls.vendor, tees=[cls.tee])
        cls.addClassCleanup(cls.kbs.close)
        cls.kbs.start()
        cls.kbs.set_resource("default/key/1", b"the secret")
        cls.kbs.set_reference_values(cls.values)

    @property
    def url(self):
        return f"https://{self.address}:{self.kbs.port}"

    def annotation(self, certificate=None, policy=POLICY, registered=True):
        """What a tenant asks for: this broker, and an agent policy. Unless it is the host who does
        so, the broker knows."""
        packed = initdata(
            self.folder, policy=policy,
            aa=f"[token_configs.kbs]\nurl = \"{self.url}\"\n"
               f"cert = \"\"\"\n{certificate or self.kbs.certificate}\"\"\"\n")
        if registered:
            self.kbs.register_initdata(self.folder / "initdata.toml")
        return {ANNOTATION: packed}

    def read_secret(self, pod, sandbox, name):
        """What a container gets from the REST API, status line and all."""
        command = "wget -S -O - http://127.0.0.1:8006/cdh/resource/default/key/1 2>&1; true"
        container = self.add_container(pod, sandbox, name, ["sh", "-c", command])
        self.wait_exited(container)
        return self.log_of(sandbox, name)
