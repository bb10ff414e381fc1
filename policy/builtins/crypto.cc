// crypto.*: digests, keyed digests, private keys. Certificates are in x509.cc.
#include <openssl/evp.h>

#include "base/bytes.h"
#include "policy/builtins/families.h"
#include "policy/builtins/keys.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

Result<Value> digest(Args args, const EVP_MD* kind) {
  COFFER_TRY(const std::string_view text, string_operand(args, 1));
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), out, &size, kind, nullptr) != 1)
    return builtin_error("digest failed");
  return Value::string(to_hex({out, size}));
}

Result<Value> md5(BuiltinContext&, Args args) { return digest(args, EVP_md5()); }
Result<Value> sha1(BuiltinContext&, Args args) { return digest(args, EVP_sha1()); }
Result<Value> sha256(BuiltinContext&, Args args) { return digest(args, EVP_sha256()); }

Result<Value> keyed(Args args, std::string_view algorithm) {
  COFFER_TRY(const std::string_view text, string_operand(args, 1));
  COFFER_TRY(const std::string_view key, string_operand(args, 2));
  return Value::string(to_hex(as_bytes(hmac(algorithm, key, text))));
}

Result<Value> hmac_md5(BuiltinContext&, Args args) { return keyed(args, "md5"); }
Result<Value> hmac_sha1(BuiltinContext&, Args args) { return keyed(args, "sha1"); }
Result<Value> hmac_sha256(BuiltinContext&, Args args) { return keyed(args, "HS256"); }
Result<Value> hmac_sha512(BuiltinContext&, Args args) { return keyed(args, "HS512"); }

Result<Value> hmac_equal(BuiltinContext&, Args args) {
  COFFER_TRY(const std::string_view a, string_operand(args, 1));
  COFFER_TRY(const std::string_view b, string_operand(args, 2));
  return Value::boolean(equal_constant_time(as_bytes(a), as_bytes(b)));
}

constexpr Builtin kTable[] = {
    {"crypto.md5", 1, md5},
    {"crypto.sha1", 1, sha1},
    {"crypto.sha256", 1, sha256},
    {"crypto.hmac.md5", 2, hmac_md5},
    {"crypto.hmac.sha1", 2, hmac_sha1},
    {"crypto.hmac.sha256", 2, hmac_sha256},
    {"crypto.hmac.sha512", 2, hmac_sha512},
    {"crypto.hmac.equal", 2, hmac_equal},
};

}  // namespace

std::span<const Builtin> crypto_builtins() { return kTable; }

}  // namespace coffer::policy
