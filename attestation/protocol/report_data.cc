#include "attestation/protocol/report_data.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <nlohmann/json.hpp>

#include "attestation/jose/jcs.h"

namespace coffer::protocol {
namespace {

const EVP_MD* digest_of(Hash hash) {
  switch (hash) {
    case Hash::kSha256:
      return EVP_sha256();
    case Hash::kSha384:
      return EVP_sha384();
    case Hash::kSha512:
      return EVP_sha512();
  }
  return nullptr;
}

}  // namespace

std::string_view hash_name(Hash hash) {
  switch (hash) {
    case Hash::kSha256:
      return "sha256";
    case Hash::kSha384:
      return "sha384";
    case Hash::kSha512:
      return "sha512";
  }
  return "unknown";
}

Result<Hash> parse_hash(std::string_view name) {
  for (const auto hash : {Hash::kSha256, Hash::kSha384, Hash::kSha512}) {
    if (name == hash_name(hash)) return hash;
  }
  if (name == "sm3") {
    return fail(Code::kUnimplemented, "hash: sm3 is not supported; use sha256, sha384 or sha512");
  }
  return fail(Code::kInvalidArgument,
              fmt::format("hash: got '{}', want sha256, sha384 or sha512", name));
}

Result<Bytes> structured_report_data(const nlohmann::json& runtime_data, Hash hash) {
  COFFER_TRY(const std::string text, jose::canonical_json(runtime_data));
  Bytes out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), out.data(), &size, digest_of(hash), nullptr) != 1) {
    return fail(Code::kInternal, "hash runtime data: OpenSSL failed");
  }
  out.resize(size);
  return out;
}

nlohmann::json primary_runtime_data(std::string_view nonce, const nlohmann::json& tee_pubkey,
                                    std::string_view additional_evidence) {
  return {{"additional-evidence", std::string(additional_evidence)},
          {"nonce", std::string(nonce)},
          {"tee-pubkey", tee_pubkey}};
}

Result<Bytes> device_report_data(std::string_view nonce, const nlohmann::json& tee_pubkey,
                                 Hash hash) {
  return structured_report_data({{"nonce", std::string(nonce)}, {"tee-pubkey", tee_pubkey}}, hash);
}

Result<Bytes> primary_report_data(std::string_view nonce, const nlohmann::json& tee_pubkey,
                                  std::string_view additional_evidence, Hash hash) {
  return structured_report_data(primary_runtime_data(nonce, tee_pubkey, additional_evidence), hash);
}

}  // namespace coffer::protocol
