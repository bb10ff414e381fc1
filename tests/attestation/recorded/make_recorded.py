#!/usr/bin/env python3
"""Makes trustee.json: a handshake in the form in which Trustee and its client speak it.

Nothing of Coffer takes part: keys, digests, tokens and JWE come from python3-cryptography (Debian:
python3-cryptography), so that a mistake of ours is not recorded as right. Rerun it only to add to
the record: keys and ciphertexts are new each time.
"""
import base64
import hashlib
import json
import os
import pathlib

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

NONCE = base64.b64encode(bytes(range(32))).decode()
COOKIE = "kbs-session-id=0f8fad5bd9cb469fa16570867728950e"
SECRET = "the recorded secret"
HOST = "127.0.0.1:8080"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def canonical(value):
    """RFC 8785 for what stands here: ASCII texts and objects."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def ec_members(key, curve, size):
    point = key.public_numbers()
    return {"crv": curve, "kty": "EC", "x": number(point.x, size), "y": number(point.y, size)}


def jwe(header, content_key, encrypted_key):
    protected = b64url(compact(header).encode())
    iv = os.urandom(12)
    sealed = AESGCM(content_key).encrypt(iv, SECRET.encode(), protected.encode())
    return {"protected": protected, "encrypted_key": b64url(encrypted_key), "iv": b64url(iv),
            "ciphertext": b64url(sealed[:-16]), "tag": b64url(sealed[-16:])}


def ec_guest(curve, name, size):
    key = ec.generate_private_key(curve)
    members = ec_members(key.public_key(), name, size)
    jwk = {"kty": "EC", "crv": name, "alg": "ECDH-ES+A256KW", "x": members["x"], "y": members["y"]}
    ephemeral = ec.generate_private_key(curve)
    shared = ephemeral.exchange(ec.ECDH(), key.public_key())
    algorithm = b"ECDH-ES+A256KW"
    other = len(algorithm).to_bytes(4, "big") + algorithm + bytes(8) + (256).to_bytes(4, "big")
    wrapping = ConcatKDFHash(hashes.SHA256(), 32, other).derive(shared)
    content_key = os.urandom(32)
    header = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM",
              "epk": ec_members(ephemeral.public_key(), name, size)}
    return key, jwk, jwe(header, content_key, keywrap.aes_key_wrap(wrapping, content_key))


def rsa_guest():
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "alg": "RSA-OAEP-256", "n": number(public.n), "e": number(public.e)}
    content_key = os.urandom(32)
    encrypted = key.public_key().encrypt(
        content_key, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    return key, jwk, jwe({"alg": "RSA-OAEP-256", "enc": "A256GCM"}, content_key, encrypted)


def token(tee_pubkey):
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = {"alg": "ES256", **ec_members(key.public_key(), "P-256", 32)}
    vector = {name: 0 for name in ("instance-identity", "configuration", "executables",
                                   "file-system", "hardware", "runtime-opaque", "storage-opaque",
                                   "sourced-data")}
    vector.update({"configuration": 2, "executables": 3, "hardware": 2})
    runtime = {"nonce": NONCE, "tee-pubkey": tee_pubkey}
    claims = {
        "eat_profile": "tag:github.com,2024:confidential-containers/Trustee",
        "iss": "CoCo-Attestation-Service", "iat": 1893456000, "exp": 1893456300,
        "ear.verifier-id": {"developer": "https://confidentialcontainers.org",
                            "build": "attestation-service 0.1.0"},
        "submods": {"cpu0": {
            "ear.status": "affirming", "ear.trustworthiness-vector": vector,
            "ear.appraisal-policy-id": "default",
            "ear.veraison.annotated-evidence": {
                "sample": {"svn": "1"}, "runtime_data_claims": runtime}}}}
    header = {"typ": "JWT", "alg": "ES256", "jwk": jwk}
    text = b64url(compact(header).encode()) + "." + b64url(compact(claims).encode())
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return text + "." + b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def reply(status, body, cookie=False):
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n"
    if cookie:
        head += f"set-cookie: {COOKIE}; Expires=Tue, 01 Jan 2030 00:05:00 GMT\r\n"
    return head + f"content-type: application/json\r\ndate: Tue, 01 Jan 2030 00:00:00 GMT\r\n\r\n{body}"


def error(status, variant, detail):
    return reply(status, compact({
        "type": f"https://github.com/confidential-containers/kbs/errors/{variant}",
        "detail": detail}))


def handshake(name, key, jwk, sealed):
    bound = canonical({"additional-evidence": "", "nonce": NONCE, "tee-pubkey": jwk})
    report_data = hashlib.sha384(bound.encode()).digest()
    attestation = {
        "init-data": {"format": "toml", "body": "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n"},
        "runtime-data": {"nonce": NONCE, "tee-pubkey": jwk},
        "tee-evidence": {
            "primary_evidence": {"svn": "1", "report_data": base64.b64encode(report_data).decode()},
            "additional_evidence": ""}}
    form = (serialization.PrivateFormat.TraditionalOpenSSL if jwk["kty"] == "RSA"
            else serialization.PrivateFormat.PKCS8)
    return {
        "name": name,
        "key": key.private_bytes(serialization.Encoding.PEM, form,
                                 serialization.NoEncryption()).decode(),
        "report_data": report_data.hex(),
        "attestation": attestation,
        "replies": {
            "auth": reply("200 OK", compact({"nonce": NONCE, "extra-params": ""}), cookie=True),
            "attest": reply("200 OK", compact({"token": token(jwk)}), cookie=True),
            "resource": reply("200 OK", compact(sealed))}}


def main():
    record = {
        "secret": SECRET, "nonce": NONCE, "cookie": COOKIE,
        "handshakes": [
            handshake("EC P-256", *ec_guest(ec.SECP256R1(), "P-256", 32)),
            handshake("EC P-521", *ec_guest(ec.SECP521R1(), "P-521", 66)),
            handshake("RSA", *rsa_guest())],
        "errors": {
            "version": error("401 Unauthorized", "AttestationError",
                             "Attestation error: RCAR handshake Auth failed: expected version "
                             "0.3.0, received 0.4.0"),
            "attest": error("401 Unauthorized", "AttestationError",
                            "Attestation error: RCAR handshake Attest failed"),
            "policy": error("401 Unauthorized", "PolicyDeny", "Access denied by policy"),
            "missing": error("401 Unauthorized", "PluginInternalError", "Plugin internal error"),
            "token": error("401 Unauthorized", "TokenNotFound", "Attestation Token not found")}}
    path = pathlib.Path(__file__).with_name("trustee.json")
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
