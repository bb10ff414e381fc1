#include "tee/tpm/hcl.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/byte_reader.h"
#include "base/json.h"

namespace coffer::tpm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMagic = "HCLA";
constexpr std::size_t kHeader = 32;
constexpr std::size_t kHardwareArea = 1184;
constexpr std::size_t kTdReport = 1024;
constexpr std::uint32_t kRequestHeader = 20;
constexpr std::uint32_t kRequestVersion = 1;
constexpr std::uint32_t kTypeSnp = 2;
constexpr std::uint32_t kTypeTdx = 4;
constexpr std::uint32_t kMaxRuntimeData = 1U << 16U;
constexpr std::size_t kMaxExponent = 8;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("parse HCL report: {}", why));
}

std::optional<eventlog::Alg> hash_of(std::uint32_t type) {
  switch (type) {
    case 1:
      return eventlog::Alg::kSha256;
    case 2:
      return eventlog::Alg::kSha384;
    case 3:
      return eventlog::Alg::kSha512;
    default:
      return std::nullopt;
  }
}

Result<Bytes> url_bytes(const Json& key, const char* member) {
  const auto it = key.find(member);
  if (it == key.end() || !it->is_string()) return bad(fmt::format("key without '{}'", member));
  return from_base64url(it->get_ref<const std::string&>());
}

// RFC 7517: kty RSA, n and e.
Result<tee::PublicKey> read_jwk(const Json& key) {
  if (!key.contains("kty") || key["kty"] != "RSA") return bad("HCLAkPub: want an RSA key");
  COFFER_TRY(const Bytes modulus, url_bytes(key, "n"));
  COFFER_TRY(const Bytes exponent, url_bytes(key, "e"));
  if (exponent.empty() || exponent.size() > kMaxExponent) return bad("HCLAkPub: exponent");
  std::uint64_t value = 0;
  for (const std::uint8_t byte : exponent) value = value << 8U | byte;
  return tee::PublicKey::from_rsa(modulus, value);
}

Result<tee::PublicKey> read_attestation_key(const Json& runtime) {
  const auto keys = runtime.find("keys");
  if (keys == runtime.end() || !keys->is_array()) return bad("runtime data without keys");
  const Json* found = nullptr;
  for (const Json& key : *keys) {
    if (!key.is_object() || !key.contains("kid") || key["kid"] != "HCLAkPub") continue;
    if (found != nullptr) return bad("HCLAkPub stands twice");
    found = &key;
  }
  if (found == nullptr) return bad("runtime data without HCLAkPub");
  return read_jwk(*found);
}

Result<Bytes> read_user_data(const Json& runtime) {
  const auto it = runtime.find("user-data");
  if (it == runtime.end()) return Bytes();
  if (!it->is_string()) return bad("user-data: want hex");
  return from_hex(it->get_ref<const std::string&>());
}

struct Layout {
  std::uint32_t report_type = 0;
  eventlog::Alg hash = eventlog::Alg::kSha256;
  BytesView hardware_area, runtime_data;
};

Result<Layout> read_layout(BytesView bytes) {
  ByteReader reader(bytes, "HCL report");
  COFFER_TRY_VOID(reader.skip(kHeader));
  Layout out;
  COFFER_TRY(out.hardware_area, reader.take(kHardwareArea));
  COFFER_TRY(const std::uint32_t size, reader.u32_le());
  COFFER_TRY(const std::uint32_t version, reader.u32_le());
  COFFER_TRY(out.report_type, reader.u32_le());
  COFFER_TRY(const std::uint32_t hash_type, reader.u32_le());
  COFFER_TRY(const std::uint32_t data_size, reader.u32_le());
  if (version != kRequestVersion) return bad(fmt::format("request version: got {}", version));
  if (data_size > kMaxRuntimeData || size != kRequestHeader + data_size) {
    return bad(fmt::format("runtime data: got sizes {} and {}", size, data_size));
  }
  const auto hash = hash_of(hash_type);
  if (!hash) return bad(fmt::format("hash type: got {}", hash_type));
  out.hash = *hash;
  COFFER_TRY(out.runtime_data, reader.take(data_size));
  if (!std::ranges::all_of(reader.rest(), [](auto b) { return b == 0; })) {
    return bad("trailing bytes that are not zero");
  }
  return out;
}

}  // namespace

bool looks_like_hcl(BytesView bytes) {
  return bytes.size() >= kHeader && as_text(bytes.first(kMagic.size())) == kMagic;
}

Result<HclReport> parse_hcl(BytesView bytes) {
  if (!looks_like_hcl(bytes)) return bad("does not begin with HCLA");
  COFFER_TRY(const Layout layout, read_layout(bytes));
  if (layout.report_type != kTypeSnp && layout.report_type != kTypeTdx) {
    return bad(fmt::format("report type: got {}, want SNP (2) or TDX (4)", layout.report_type));
  }
  COFFER_TRY(const Json runtime, parse_json(as_text(layout.runtime_data), "HCL runtime data",
                                            {.max_bytes = kMaxRuntimeData}));
  if (!runtime.is_object()) return bad("runtime data: want an object");
  COFFER_TRY(tee::PublicKey key, read_attestation_key(runtime));
  const bool snp = layout.report_type == kTypeSnp;
  HclReport out{.hardware = snp ? HclHardware::kSnp : HclHardware::kTdx,
                .hardware_report = layout.hardware_area.first(snp ? kHardwareArea : kTdReport),
                .runtime_data = layout.runtime_data,
                .runtime_digest = {},
                .attestation_key = std::move(key),
                .user_data = {}};
  COFFER_TRY(out.runtime_digest, eventlog::hash(layout.hash, layout.runtime_data));
  COFFER_TRY(out.user_data, read_user_data(runtime));
  return out;
}

}  // namespace coffer::tpm
