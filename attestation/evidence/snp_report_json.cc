#include "attestation/evidence/snp_report_json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "attestation/evidence/fields.h"

namespace coffer::evidence {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMaxU32 = std::numeric_limits<std::uint32_t>::max();

template <std::size_t N>
Status read_octets(const Fields& fields, const char* name, std::array<std::uint8_t, N>& out) {
  COFFER_TRY(const Bytes bytes, fields.ints(name, N));
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return {};
}

Status read_u32(const Fields& fields, const char* name, std::uint32_t& out) {
  COFFER_TRY(const std::uint64_t value, fields.number(name, kMaxU32));
  out = static_cast<std::uint32_t>(value);
  return {};
}

Status read_u8(const Fields& fields, const char* name, std::uint8_t& out) {
  COFFER_TRY(const std::uint64_t value, fields.number(name, 0xFF));
  out = static_cast<std::uint8_t>(value);
  return {};
}

// What versions before it lack is null or absent, and zero in the report.
Status read_later_u8(const Fields& fields, const char* name, std::uint8_t& out) {
  return fields.has(name) ? read_u8(fields, name, out) : Status{};
}

Status read_later_u64(const Fields& fields, const char* name, std::uint64_t& out) {
  if (!fields.has(name)) return {};
  COFFER_TRY(out, fields.number(name));
  return {};
}

Status read_tcb(const Fields& report, const char* name, snp::TcbBytes& out) {
  COFFER_TRY(const Fields fields, report.object(name));
  snp::Tcb tcb;
  if (fields.has("fmc")) {
    COFFER_TRY_VOID(read_u8(fields, "fmc", tcb.fmc.emplace()));
  }
  COFFER_TRY_VOID(read_u8(fields, "bootloader", tcb.boot_loader));
  COFFER_TRY_VOID(read_u8(fields, "tee", tcb.tee));
  COFFER_TRY_VOID(read_u8(fields, "snp", tcb.snp));
  COFFER_TRY_VOID(read_u8(fields, "microcode", tcb.microcode));
  out = snp::encode_tcb(tcb, tcb.fmc ? snp::TcbLayout::kTurin : snp::TcbLayout::kMilan);
  return {};
}

Status read_version(const Fields& report, const char* name, snp::FirmwareVersion& out) {
  COFFER_TRY(const Fields fields, report.object(name));
  COFFER_TRY_VOID(read_u8(fields, "major", out.major));
  COFFER_TRY_VOID(read_u8(fields, "minor", out.minor));
  return read_u8(fields, "build", out.build);
}

Status read_head(const Fields& fields, snp::Report& out) {
  COFFER_TRY_VOID(read_u32(fields, "version", out.version));
  COFFER_TRY_VOID(read_u32(fields, "guest_svn", out.guest_svn));
  COFFER_TRY(out.policy.raw, fields.number("policy"));
  COFFER_TRY_VOID(read_octets(fields, "family_id", out.family_id));
  COFFER_TRY_VOID(read_octets(fields, "image_id", out.image_id));
  COFFER_TRY_VOID(read_u32(fields, "vmpl", out.vmpl));
  COFFER_TRY_VOID(read_u32(fields, "sig_algo", out.signature_algo));
  COFFER_TRY_VOID(read_tcb(fields, "current_tcb", out.current_tcb));
  COFFER_TRY(out.platform_info.raw, fields.number("plat_info"));
  COFFER_TRY_VOID(read_u32(fields, "key_info", out.key_info.raw));
  return {};
}

Status read_digests(const Fields& fields, snp::Report& out) {
  COFFER_TRY_VOID(read_octets(fields, "report_data", out.report_data));
  COFFER_TRY_VOID(read_octets(fields, "measurement", out.measurement));
  COFFER_TRY_VOID(read_octets(fields, "host_data", out.host_data));
  COFFER_TRY_VOID(read_octets(fields, "id_key_digest", out.id_key_digest));
  COFFER_TRY_VOID(read_octets(fields, "author_key_digest", out.author_key_digest));
  COFFER_TRY_VOID(read_octets(fields, "report_id", out.report_id));
  COFFER_TRY_VOID(read_octets(fields, "report_id_ma", out.report_id_ma));
  return read_octets(fields, "chip_id", out.chip_id);
}

Status read_platform(const Fields& fields, snp::Report& out) {
  COFFER_TRY_VOID(read_tcb(fields, "reported_tcb", out.reported_tcb));
  COFFER_TRY_VOID(read_later_u8(fields, "cpuid_fam_id", out.cpuid.family));
  COFFER_TRY_VOID(read_later_u8(fields, "cpuid_mod_id", out.cpuid.model));
  COFFER_TRY_VOID(read_later_u8(fields, "cpuid_step", out.cpuid.stepping));
  COFFER_TRY_VOID(read_tcb(fields, "committed_tcb", out.committed_tcb));
  COFFER_TRY_VOID(read_version(fields, "current", out.current_version));
  COFFER_TRY_VOID(read_version(fields, "committed", out.committed_version));
  COFFER_TRY_VOID(read_tcb(fields, "launch_tcb", out.launch_tcb));
  COFFER_TRY_VOID(read_later_u64(fields, "launch_mit_vector", out.launch_mit_vector));
  COFFER_TRY_VOID(read_later_u64(fields, "current_mit_vector", out.current_mit_vector));
  COFFER_TRY(const Fields signature, fields.object("signature"));
  COFFER_TRY_VOID(read_octets(signature, "r", out.signature_r));
  return read_octets(signature, "s", out.signature_s);
}

Json tcb_json(const snp::TcbBytes& bytes, snp::TcbLayout layout) {
  const snp::Tcb tcb = snp::decode_tcb(bytes, layout);
  Json out = {{"fmc", nullptr},
              {"bootloader", tcb.boot_loader},
              {"tee", tcb.tee},
              {"snp", tcb.snp},
              {"microcode", tcb.microcode}};
  if (tcb.fmc) out["fmc"] = *tcb.fmc;
  return out;
}

Json version_json(const snp::FirmwareVersion& version) {
  return {{"major", version.major}, {"minor", version.minor}, {"build", version.build}};
}

}  // namespace

Result<snp::Report> parse_report_json(const nlohmann::json& json) {
  COFFER_TRY(const Fields fields, Fields::of(json, "snp attestation_report"));
  snp::Report out;
  COFFER_TRY_VOID(read_head(fields, out));
  COFFER_TRY_VOID(read_digests(fields, out));
  COFFER_TRY_VOID(read_platform(fields, out));
  return out;
}

nlohmann::json make_report_json(const snp::Report& report) {
  const auto layout = report.likely_layout();
  Json out;
  out["version"] = report.version;
  out["guest_svn"] = report.guest_svn;
  out["policy"] = report.policy.raw;
  out["family_id"] = ints_of(report.family_id);
  out["image_id"] = ints_of(report.image_id);
  out["vmpl"] = report.vmpl;
  out["sig_algo"] = report.signature_algo;
  out["current_tcb"] = tcb_json(report.current_tcb, layout);
  out["plat_info"] = report.platform_info.raw;
  out["key_info"] = report.key_info.raw;
  out["report_data"] = ints_of(report.report_data);
  out["measurement"] = ints_of(report.measurement);
  out["host_data"] = ints_of(report.host_data);
  out["id_key_digest"] = ints_of(report.id_key_digest);
  out["author_key_digest"] = ints_of(report.author_key_digest);
  out["report_id"] = ints_of(report.report_id);
  out["report_id_ma"] = ints_of(report.report_id_ma);
  out["reported_tcb"] = tcb_json(report.reported_tcb, layout);
  const bool cpuid = report.has_cpuid();
  out["cpuid_fam_id"] = cpuid ? Json(report.cpuid.family) : Json();
  out["cpuid_mod_id"] = cpuid ? Json(report.cpuid.model) : Json();
  out["cpuid_step"] = cpuid ? Json(report.cpuid.stepping) : Json();
  out["chip_id"] = ints_of(report.chip_id);
  out["committed_tcb"] = tcb_json(report.committed_tcb, layout);
  out["current"] = version_json(report.current_version);
  out["committed"] = version_json(report.committed_version);
  out["launch_tcb"] = tcb_json(report.launch_tcb, layout);
  const bool mitigations = report.has_mitigations();
  out["launch_mit_vector"] = mitigations ? Json(report.launch_mit_vector) : Json();
  out["current_mit_vector"] = mitigations ? Json(report.current_mit_vector) : Json();
  out["signature"] = {{"r", ints_of(report.signature_r)}, {"s", ints_of(report.signature_s)}};
  return out;
}

}  // namespace coffer::evidence
