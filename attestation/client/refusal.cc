#include "attestation/client/refusal.h"

#include <fmt/format.h>

#include <algorithm>

namespace coffer::client {
namespace {

constexpr std::size_t kMaxShown = 1024;

// Foreign text that ends up on terminals and in logs: printable ASCII, one line, short.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMaxShown)) out += c >= ' ' && c <= '~' ? c : ' ';
  if (text.size() > kMaxShown) out += "...";
  return out;
}

Code code_of(const Refusal& refusal) {
  if (refusal.info.variant() == "PolicyDeny") return Code::kPermissionDenied;
  switch (refusal.status) {
    case 400:
      return Code::kInvalidArgument;
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 413:
      return Code::kResourceExhausted;
    case 429:
      return Code::kUnavailable;
    default:
      return refusal.status >= 500 ? Code::kUnavailable : Code::kUnknown;
  }
}

bool refuses_version(const protocol::ErrorInformation& info) {
  const auto& versions = info.supported_versions;
  return !versions.empty() &&
         std::find(versions.begin(), versions.end(), protocol::kProtocolVersion) == versions.end();
}

}  // namespace

Refusal read_refusal(const http::Response& response) {
  Refusal out{.status = response.status, .info = {}};
  if (auto info = protocol::parse_error(response.body)) {
    out.info = *std::move(info);
  } else {
    out.info.detail = response.body.empty() ? "no explanation" : response.body;
  }
  return out;
}

Error to_error(const Refusal& refusal, std::string_view what) {
  const auto& info = refusal.info;
  if (refuses_version(info)) {
    return {Code::kFailedPrecondition,
            fmt::format("{}: the broker speaks protocol version {}, we speak {}", what,
                        printable(fmt::format("{}", fmt::join(info.supported_versions, ", "))),
                        protocol::kProtocolVersion)};
  }
  std::string text = fmt::format("{}: {}", what, refusal.status);
  if (!info.variant().empty()) text += " " + printable(info.variant());
  text += ": " + printable(info.detail);
  if (!info.attestation_id.empty() && info.detail.find(info.attestation_id) == std::string::npos) {
    text += fmt::format(" (attestation {})", printable(info.attestation_id));
  }
  if (refusal.status == 413) {
    text += " (the evidence is larger than the broker's payload_request_size)";
  }
  return {code_of(refusal), std::move(text)};
}

}  // namespace coffer::client
