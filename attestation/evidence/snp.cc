#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "attestation/evidence/evidence.h"
#include "attestation/evidence/fields.h"
#include "attestation/evidence/snp_report_json.h"
#include "tee/sev-snp/cert_table.h"
#include "tee/sev-snp/report.h"

namespace coffer::evidence {
namespace {

using Json = nlohmann::json;
using snp::CertKind;
using snp::CertTableEntry;

constexpr std::size_t kMaxCertificates = 32;
constexpr std::size_t kMaxCertificateBytes = std::size_t{256} << 10U;
constexpr std::size_t kGuidBytes = 16;

struct TypeName {
  CertKind kind;
  const char* name;
};
constexpr std::array<TypeName, 5> kTypes{{{CertKind::kArk, "ARK"},
                                          {CertKind::kAsk, "ASK"},
                                          {CertKind::kVcek, "VCEK"},
                                          {CertKind::kVlek, "VLEK"},
                                          {CertKind::kCrl, "CRL"}}};

// RFC 4122 text: 8-4-4-4-12.
std::string uuid_text(const Bytes& guid) {
  std::string out = to_hex(guid);
  for (const std::size_t at : {std::size_t{20}, std::size_t{16}, std::size_t{12}, std::size_t{8}}) {
    out.insert(at, "-");
  }
  return out;
}

Result<Bytes> parse_uuid(const std::string& text) {
  std::string hex;
  for (const char c : text) {
    if (c != '-') hex += c;
  }
  COFFER_TRY(Bytes guid, from_hex(hex));
  if (guid.size() != kGuidBytes) return fail(Code::kInvalidArgument, "UUID of a wrong length");
  return guid;
}

// Nothing for "Empty".
Result<std::optional<CertTableEntry>> parse_entry(const Json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "snp cert_chain entry"));
  COFFER_TRY(const Json* type, fields.member("cert_type"));
  CertTableEntry entry;
  COFFER_TRY(entry.data, fields.ints_up_to("data", kMaxCertificateBytes));
  if (type->is_object()) {
    COFFER_TRY(const Fields other, fields.object("cert_type"));
    COFFER_TRY(const std::string uuid, other.text("OTHER"));
    COFFER_TRY(entry.guid, parse_uuid(uuid));
    return entry;
  }
  COFFER_TRY(const std::string name, fields.text("cert_type"));
  if (name == "Empty") return std::nullopt;
  for (const auto& known : kTypes) {
    if (name != known.name) continue;
    entry.kind = known.kind;
    entry.guid = snp::cert_guid(known.kind);
    return entry;
  }
  return fields.refuse("cert_type", fmt::format("is '{}', which we do not know", name));
}

Result<Bytes> parse_chain(const Json& list) {
  if (!list.is_array() || list.size() > kMaxCertificates) {
    return fail(Code::kInvalidArgument,
                fmt::format("read snp evidence: member 'cert_chain' is no list of at most {}",
                            kMaxCertificates));
  }
  std::vector<CertTableEntry> entries;
  for (const auto& element : list) {
    COFFER_TRY(auto entry, parse_entry(element));
    if (entry) entries.push_back(*std::move(entry));
  }
  if (entries.empty()) return Bytes{};
  return snp::encode_cert_table(entries);
}

Json type_json(const CertTableEntry& entry) {
  for (const auto& known : kTypes) {
    if (entry.kind == known.kind) return known.name;
  }
  return {{"OTHER", uuid_text(entry.guid)}};
}

Result<Bytes> report_bytes(const Fields& fields) {
  if (fields.has("raw_report")) {
    COFFER_TRY(Bytes raw, fields.base64("raw_report"));
    if (raw.size() != snp::kReportSize) {
      return fields.refuse("raw_report",
                           fmt::format("has {} bytes, want {}", raw.size(), snp::kReportSize));
    }
    return raw;
  }
  COFFER_TRY(const Json* json, fields.member("attestation_report"));
  COFFER_TRY(const snp::Report report, parse_report_json(*json));
  const auto encoded = snp::encode_report(report);
  return Bytes(encoded.begin(), encoded.end());
}

}  // namespace

Result<tee::Evidence> parse_snp(const nlohmann::json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "snp evidence"));
  tee::Evidence out;
  out.tee = "snp";
  COFFER_TRY(out.report, report_bytes(fields));
  if (fields.has("cert_chain")) {
    COFFER_TRY(const Json* chain, fields.member("cert_chain"));
    COFFER_TRY(out.auxiliary, parse_chain(*chain));
  }
  return out;
}

Result<nlohmann::json> make_snp(const tee::Evidence& evidence) {
  if (evidence.tee != "snp") {
    return fail(Code::kInvalidArgument, "write snp evidence: it is of '" + evidence.tee + "'");
  }
  COFFER_TRY(const snp::Report report, snp::decode_report(evidence.report));
  Json out = {{"attestation_report", make_report_json(report)},
              {"raw_report", to_base64(evidence.report)},
              {"cert_chain", nullptr}};
  if (evidence.auxiliary.empty()) return out;
  COFFER_TRY(const auto table, snp::parse_cert_table(evidence.auxiliary));
  for (const auto& entry : table) {
    out["cert_chain"].push_back({{"cert_type", type_json(entry)}, {"data", ints_of(entry.data)}});
  }
  return out;
}

}  // namespace coffer::evidence
