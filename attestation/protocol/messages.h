// The bodies of POST /kbs/v0/auth and /kbs/v0/attest and of errors, protocol 0.4.0. The members'
// names are the protocol's own, with hyphens in some and an underscore in others.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/protocol/report_data.h"
#include "attestation/protocol/tee_name.h"
#include "base/error.h"

namespace coffer::protocol {

inline constexpr std::string_view kProtocolVersion = "0.4.0";
inline constexpr std::string_view kPathPrefix = "/kbs/v0/";
inline constexpr std::string_view kSessionCookie = "kbs-session-id";
// Evidence comes with event logs and certificates. Also the depth is bounded, at 32.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{8} << 20U;

// Client: POST auth.
struct Request {
  std::string version = std::string(kProtocolVersion);
  Tee tee = Tee::kSample;
  // {"supported-hash-algorithms": [...]}, "" or {}.
  nlohmann::json extra_params = "";
};
// Does not judge the version: check_version does.
[[nodiscard]] Result<Request> parse_request(std::string_view body);
[[nodiscard]] std::string serialise(const Request& request);
// kFailedPrecondition naming both versions unless it is exactly kProtocolVersion: other versions
// bind their keys by other rules.
[[nodiscard]] Status check_version(std::string_view version);

// Server: the reply. The nonce is opaque to the client.
struct Challenge {
  std::string nonce;
  nlohmann::json extra_params = "";

  // Member `selected-hash-algorithm` of an object, else SHA-384.
  [[nodiscard]] Result<Hash> selected_hash() const;
};
[[nodiscard]] Result<Challenge> parse_challenge(std::string_view body);
[[nodiscard]] std::string serialise(const Challenge& challenge);

struct InitData {
  std::string format;  // "toml"
  std::string body;    // the plain text
};

// Client: POST attest.
struct Attestation {
  std::optional<InitData> init_data;
  std::string nonce;
  // As received: what report data is computed from. jose::parse_tee_pubkey reads the key.
  nlohmann::json tee_pubkey;
  // Its lists of bytes are binary values when it was parsed (JsonLimits::lists_as_bytes).
  nlohmann::json primary_evidence;
  // Empty, or the text of an object with one member per TEE beside the first.
  std::string additional_evidence;
};
[[nodiscard]] Result<Attestation> parse_attestation(std::string_view body);
[[nodiscard]] std::string serialise(const Attestation& attestation);
// One of `additional_evidence`'s members.
struct DeviceEvidence {
  Tee tee;
  nlohmann::json evidence;
};
// Empty for the empty text. At most 8.
[[nodiscard]] Result<std::vector<DeviceEvidence>> parse_additional_evidence(std::string_view text);

// Server: the reply to attest.
struct Response {
  std::string token;
};
[[nodiscard]] Result<Response> parse_response(std::string_view body);
[[nodiscard]] std::string serialise(const Response& response);

// Every reply that is not 200. `type` is kErrorTypePrefix and a variant ("PolicyDeny"). Beyond
// Trustee's two members ours names the attestation's record and, where versions clash, what it
// speaks; a client that does not know them passes them over.
inline constexpr std::string_view kErrorTypePrefix =
    "https://github.com/confidential-containers/kbs/errors/";
struct ErrorInformation {
  std::string type;
  std::string detail;
  std::string attestation_id;                   // member "attestation-id"; empty: none
  std::vector<std::string> supported_versions;  // member "supported-versions"; empty: none

  // The type's last segment.
  [[nodiscard]] std::string_view variant() const;
};
[[nodiscard]] ErrorInformation make_error(std::string_view variant, std::string detail);
[[nodiscard]] Result<ErrorInformation> parse_error(std::string_view body);
[[nodiscard]] std::string serialise(const ErrorInformation& error);

}  // namespace coffer::protocol
