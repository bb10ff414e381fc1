#include "tee/sev-snp/claims.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace coffer::snp {
namespace {

using Json = nlohmann::json;

std::string flags(std::uint64_t raw) { return fmt::format("{:#x}", raw); }

Json tcb_json(const Tcb& tcb) {
  Json out{{"bl", tcb.boot_loader}, {"tee", tcb.tee}, {"snp", tcb.snp}, {"ucode", tcb.microcode}};
  if (tcb.fmc) out["fmc"] = *tcb.fmc;
  return out;
}

void put_tcb(std::string name, const TcbBytes& bytes, TcbLayout layout, Json& out) {
  out[name] = tcb_json(decode_tcb(bytes, layout));
  out[name + "_raw"] = to_hex(bytes);
}

std::string signing_key_name(std::uint8_t key) {
  switch (key) {
    case static_cast<std::uint8_t>(SigningKey::kVcek):
      return "VCEK";
    case static_cast<std::uint8_t>(SigningKey::kVlek):
      return "VLEK";
    case static_cast<std::uint8_t>(SigningKey::kNone):
      return "none";
    default:
      return fmt::format("reserved {}", key);
  }
}

Json policy_json(const GuestPolicy& policy) {
  return {{"abi_major", policy.abi_major()},
          {"abi_minor", policy.abi_minor()},
          {"smt_allowed", policy.smt()},
          {"migrate_ma_allowed", policy.migrate_ma()},
          {"debug_allowed", policy.debug()},
          {"single_socket_required", policy.single_socket()},
          {"cxl_allowed", policy.cxl_allow()},
          {"mem_aes_256_xts_required", policy.mem_aes_256_xts()},
          {"rapl_dis_required", policy.rapl_dis()},
          {"ciphertext_hiding_required", policy.ciphertext_hiding()},
          {"page_swap_disable_required", policy.page_swap_disable()}};
}

Json platform_json(const PlatformInfo& info) {
  return {{"smt_enabled", info.smt_en()},
          {"tsme_enabled", info.tsme_en()},
          {"ecc_enabled", info.ecc_en()},
          {"rapl_disabled", info.rapl_dis()},
          {"ciphertext_hiding_enabled", info.ciphertext_hiding_en()},
          {"alias_check_complete", info.alias_check_complete()},
          {"tio_enabled", info.tio_en()}};
}

}  // namespace

Json report_claims(const Report& report, TcbLayout layout) {
  Json out{{"version", report.version},
           {"guest_svn", report.guest_svn},
           {"policy", flags(report.policy.raw)},
           {"policy_flags", policy_json(report.policy)},
           {"family_id", to_hex(report.family_id)},
           {"image_id", to_hex(report.image_id)},
           {"vmpl", report.vmpl},
           {"signature_algo", report.signature_algo},
           {"platform_info", flags(report.platform_info.raw)},
           {"platform_info_flags", platform_json(report.platform_info)},
           {"key_info", report.key_info.raw},
           {"author_key_en", report.key_info.author_key_en()},
           {"mask_chip_key", report.key_info.mask_chip_key()},
           {"signing_key", signing_key_name(report.key_info.signing_key())},
           {"report_data", to_hex(report.report_data)},
           {"measurement", to_hex(report.measurement)},
           {"host_data", to_hex(report.host_data)},
           {"id_key_digest", to_hex(report.id_key_digest)},
           {"author_key_digest", to_hex(report.author_key_digest)},
           {"report_id", to_hex(report.report_id)},
           {"report_id_ma", to_hex(report.report_id_ma)},
           {"chip_id", to_hex(report.chip_id)},
           {"current_version", report.current_version.to_text()},
           {"committed_version", report.committed_version.to_text()}};
  put_tcb("current_tcb", report.current_tcb, layout, out);
  put_tcb("reported_tcb", report.reported_tcb, layout, out);
  put_tcb("committed_tcb", report.committed_tcb, layout, out);
  put_tcb("launch_tcb", report.launch_tcb, layout, out);
  if (report.has_cpuid()) {
    out["cpuid_fms"] = {fmt::format("{:#04x}", report.cpuid.family),
                        fmt::format("{:#04x}", report.cpuid.model),
                        fmt::format("{:#04x}", report.cpuid.stepping)};
    if (const auto product = product_by_cpuid(report.cpuid)) {
      out["product"] = std::string(product_name(*product));
    }
  }
  if (report.has_mitigations()) {
    out["launch_mit_vector"] = flags(report.launch_mit_vector);
    out["current_mit_vector"] = flags(report.current_mit_vector);
  }
  return out;
}

void add_endorsement_claims(const Endorsement& endorsement, Json& claims) {
  if (endorsement.product) claims["product"] = std::string(product_name(*endorsement.product));
  if (!endorsement.leaf) return;
  Json certificate{{"subject", endorsement.leaf->subject().common_name()},
                   {"issuer", endorsement.leaf->issuer().common_name()},
                   {"fingerprint", to_hex(endorsement.leaf->fingerprint())},
                   {"not_before", tee::format_rfc3339(endorsement.leaf->not_before())},
                   {"not_after", tee::format_rfc3339(endorsement.leaf->not_after())},
                   {"root", endorsement.root}};
  if (endorsement.extensions) {
    certificate["tcb"] = tcb_json(endorsement.extensions->tcb);
    certificate["product_name"] = endorsement.extensions->product_name;
    if (endorsement.kind == LeafKind::kVcek) {
      certificate["hwid"] = to_hex(endorsement.extensions->hwid);
    } else {
      certificate["csp_id"] = endorsement.extensions->csp_id;
    }
  }
  claims["signing_certificate"] = std::move(certificate);
}

}  // namespace coffer::snp
