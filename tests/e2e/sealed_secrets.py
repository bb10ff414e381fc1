"""Sealed secrets in a pod that has attested: an environment variable and a Secret volume are opened
in the guest, and nowhere else; what cannot be opened makes no container."""
import hashlib

from lab.containerd import Failure
from lab.sealed import Signer

SECRET = b"a sealed secret \xff\n"  # no UTF-8: a file's
TEXT = b"a sealed text"


def _volume(folder, **keys):
    """A Secret's volume as kubelet's atomic writer makes it."""
    volume = folder / "volume"
    (volume / "..2024_01_01").mkdir(parents=True)
    (volume / "..data").symlink_to("..2024_01_01")
    for name, text in keys.items():
        (volume / "..2024_01_01" / name).write_text(text)
        (volume / name).symlink_to(f"..data/{name}")
    return volume


def check_sealed_secrets(test, pod, sandbox):
    """`test` has a key broker that gives this pod what it asks for."""
    signer = Signer(test.folder)
    test.kbs.set_resource("default/signer/1", signer.jwk())
    test.kbs.set_resource("default/sealed/text", TEXT)
    test.kbs.set_resource("default/sealed/bytes", SECRET)
    variable = signer.seal("kbs:///default/sealed/text")
    file = signer.seal("kbs:///default/sealed/bytes")
    volume = _volume(test.folder, password=file, user="alice")
    mounts = [{"container_path": "/etc/db", "host_path": str(volume), "readonly": True}]
    container = test.add_container(
        pod, sandbox, "sealed",
        ["sh", "-c", 'printf %s "$TOKEN" | sha256sum; sha256sum < /etc/db/password; '
                     "cat /etc/db/user; cut -c1-7 /etc/db/..data/password 2>&1 | head -n 1"],
        envs=[{"key": "TOKEN", "value": variable}], mounts=mounts)
    test.wait_exited(container)
    said = test.log_of(sandbox, "sealed")
    for secret in (TEXT, SECRET):
        test.assertIn(hashlib.sha256(secret).hexdigest(), said)
    test.assertIn("alice", said)
    test.assertNotIn("sealed.", said)
    test.assertEqual((volume / "password").read_text(), file, "the host's file is as it was")
    test.assertEqual(len(list(volume.rglob("*"))), 6, "nothing was added beside it")
    stranger = variable[:-4] + ("AAAA" if variable[-4:] != "AAAA" else "BBBB")
    try:
        test.add_container(pod, sandbox, "stranger", ["true"],
                           envs=[{"key": "TOKEN", "value": stranger}])
    except Failure as failure:
        test.assertIn("unseal environment variable 'TOKEN'", str(failure))
        test.assertNotIn(TEXT.decode(), str(failure))
    else:
        raise AssertionError("a container started with a sealed secret whose signature is wrong")
