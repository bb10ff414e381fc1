// What evidence binds: the challenge's nonce and the guest's key, by the rule of protocol 0.4.0.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::protocol {

enum class Hash : std::uint8_t { kSha256, kSha384, kSha512 };
// "sha256", "sha384", "sha512".
[[nodiscard]] std::string_view hash_name(Hash hash);
// kInvalidArgument when it is another, kUnimplemented for "sm3".
[[nodiscard]] Result<Hash> parse_hash(std::string_view name);

// Digests of canonical JSON, not padded: 48 bytes with SHA-384, which is the default everywhere.
//
// For the evidence of devices beside the CPU's: {"nonce", "tee-pubkey"}.
[[nodiscard]] Result<Bytes> device_report_data(std::string_view nonce,
                                               const nlohmann::json& tee_pubkey,
                                               Hash hash = Hash::kSha384);
// For the primary evidence, which binds the devices' too: {"additional-evidence", "nonce",
// "tee-pubkey"}. `additional_evidence` is the text that the Attestation message carries, empty when
// there is none.
[[nodiscard]] Result<Bytes> primary_report_data(std::string_view nonce,
                                                const nlohmann::json& tee_pubkey,
                                                std::string_view additional_evidence,
                                                Hash hash = Hash::kSha384);
// Of any object: runtime data that an attestation service's caller gives as structure.
[[nodiscard]] Result<Bytes> structured_report_data(const nlohmann::json& runtime_data,
                                                   Hash hash = Hash::kSha384);

// The object itself, as tokens repeat it (`runtime_data_claims`).
[[nodiscard]] nlohmann::json primary_runtime_data(std::string_view nonce,
                                                  const nlohmann::json& tee_pubkey,
                                                  std::string_view additional_evidence);

}  // namespace coffer::protocol
