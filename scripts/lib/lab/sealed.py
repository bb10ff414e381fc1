"""Sealed secrets, as a tenant makes them: a signed reference to a resource of the key broker."""
import base64
import json
import pathlib
import subprocess


def _b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _raw_signature(der):
    """r and s of an ASN.1 ECDSA signature on P-256, 32 bytes each."""
    numbers, at = [], 2
    for _ in range(2):
        size = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + size], "big").to_bytes(32, "big"))
        at += 2 + size
    return b"".join(numbers)


class Signer:
    """A P-256 key in `folder`; `kid` is the resource that its public half is to be stored as."""

    def __init__(self, folder, kid="kbs:///default/signer/1"):
        self.key = pathlib.Path(folder) / "signer.pem"
        self.kid = kid
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                        self.key], check=True)

    def jwk(self):
        """The public key's JWK, as bytes."""
        point = subprocess.run(["openssl", "ec", "-in", self.key, "-pubout", "-outform", "DER"],
                               check=True, capture_output=True).stdout[-64:]
        return json.dumps({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": _b64url(point[:32]),
                           "y": _b64url(point[32:])}).encode()

    def seal(self, resource):
        """The text that stands for the resource of that kbs:/// URI."""
        payload = {"version": "0.1.0", "type": "vault", "name": resource, "provider": "kbs",
                   "provider_settings": {}, "annotations": {}}
        text = ".".join(_b64url(json.dumps(part).encode())
                        for part in ({"alg": "ES256", "kid": self.kid}, payload))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key],
                                   input=text.encode(), check=True, capture_output=True).stdout
        return f"sealed.{text}.{_b64url(_raw_signature(signature))}"
