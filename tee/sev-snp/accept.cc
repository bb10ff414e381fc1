#include "tee/sev-snp/accept.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace coffer::snp {
namespace {

constexpr std::string_view kPolicy = "SEV-SNP ABI 56860 table 9";
constexpr std::string_view kPlatform = "SEV-SNP ABI 56860 table 24";
constexpr std::string_view kReport = "SEV-SNP ABI 56860 table 23";
constexpr std::string_view kExpectation = "expectation";

bool all_ones(BytesView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0xFF; });
}

// A permission that weakens the guest: refused unless waived by name.
void check_permission(std::string_view name, bool set, bool allowed, std::string_view waiver,
                      tee::Verdict& verdict) {
  const std::string_view found = set ? "allowed" : "not allowed";
  if (allowed && set) {
    verdict.add_waived(name, found, waiver);
  } else {
    verdict.add(name, !set, "not allowed", found, kPolicy);
  }
}

void check_policy(const Report& report, const Expectations& want, tee::Verdict& verdict) {
  const GuestPolicy& policy = report.policy;
  check_permission("policy.debug", policy.debug(), want.allow_debug, "allow_debug", verdict);
  check_permission("policy.migrate_ma", policy.migrate_ma(), want.allow_migrate_ma,
                   "allow_migrate_ma", verdict);
  check_permission("policy.cxl", policy.cxl_allow(), want.allow_cxl, "allow_cxl", verdict);
  const bool alone = all_ones(report.report_id_ma);
  // The waiver is of an agent that the guest's policy allows: without it there can be none.
  if (want.allow_migrate_ma && policy.migrate_ma() && !alone) {
    verdict.add_waived("policy.migration_agent", to_hex(report.report_id_ma), "allow_migrate_ma");
  } else {
    verdict.add("policy.migration_agent", alone, "none (REPORT_ID_MA all ones)",
                alone ? "none" : to_hex(report.report_id_ma), kReport);
  }
  const auto requirement = [&](std::string_view name, bool wanted, bool set) {
    if (wanted) verdict.add(name, set, "required", set ? "required" : "not required", kPolicy);
  };
  requirement("policy.single_socket", want.require_single_socket, policy.single_socket());
  requirement("policy.mem_aes_256_xts", want.require_aes_256_xts, policy.mem_aes_256_xts());
  requirement("policy.page_swap_disable", want.require_page_swap_disabled,
              policy.page_swap_disable());
  if (want.policy) {
    verdict.add_equal("policy.exact", fmt::format("{:#x}", *want.policy),
                      fmt::format("{:#x}", policy.raw), kExpectation);
  }
}

void check_vmpl(const Report& report, const Endorsement& endorsement, const Expectations& want,
                tee::Verdict& verdict) {
  const std::string found =
      report.vmpl == kHostVmpl ? "the host's request" : fmt::to_string(report.vmpl);
  if (want.vmpl) {
    verdict.add("report.vmpl_expected", report.vmpl == *want.vmpl, fmt::to_string(*want.vmpl),
                found, kExpectation);
    return;
  }
  const std::uint32_t highest = endorsement.kind == LeafKind::kVlek ? 1 : 0;
  verdict.add("report.vmpl_expected", report.vmpl <= highest, highest == 0 ? "0" : "0 or 1 (VLEK)",
              found, "default: require_vmpl");
}

void check_platform(const Report& report, const Expectations& want, tee::Verdict& verdict) {
  const PlatformInfo& info = report.platform_info;
  if (!want.allow_smt) {
    verdict.add("platform.smt", !info.smt_en(), "off", info.smt_en() ? "on" : "off", kPlatform);
  } else {
    verdict.add_waived("platform.smt", info.smt_en() ? "on" : "off", "allow_smt");
  }
  const auto requirement = [&](std::string_view name, bool wanted, bool set) {
    if (wanted) verdict.add(name, set, "on", set ? "on" : "off", kPlatform);
  };
  if (!want.require_alias_check) {
    verdict.add_waived("platform.alias_check",
                       info.alias_check_complete() ? "complete" : "not complete",
                       "require_alias_check is off");
  }
  requirement("platform.alias_check", want.require_alias_check, info.alias_check_complete());
  requirement("platform.tsme", want.require_tsme, info.tsme_en());
  requirement("platform.ecc", want.require_ecc, info.ecc_en());
  requirement("platform.rapl_disabled", want.require_rapl_disabled,
              info.rapl_dis() || report.policy.rapl_dis());
  requirement("platform.ciphertext_hiding", want.require_ciphertext_hiding,
              info.ciphertext_hiding_en());
}

bool meets(const std::optional<std::uint8_t>& minimum, std::uint8_t value) {
  return !minimum || value >= *minimum;
}

bool meets(const MinimumTcb& minimum, const Tcb& tcb) {
  return meets(minimum.fmc, tcb.fmc.value_or(0)) && meets(minimum.boot_loader, tcb.boot_loader) &&
         meets(minimum.tee, tcb.tee) && meets(minimum.snp, tcb.snp) &&
         meets(minimum.microcode, tcb.microcode);
}

void check_minimum(std::string_view name, const std::optional<MinimumTcb>& minimum,
                   const TcbBytes& bytes, TcbLayout layout, tee::Verdict& verdict) {
  const Tcb tcb = decode_tcb(bytes, layout);
  if (minimum) {
    verdict.add(name, meets(*minimum, tcb), minimum->to_text(), tcb.to_text(), kExpectation);
  } else {
    verdict.add_waived(name, tcb.to_text(), "no minimum given");
  }
}

void check_versions(const Report& report, TcbLayout layout, const Expectations& want,
                    tee::Verdict& verdict) {
  check_minimum("tcb.minimum_reported", want.min_tcb, report.reported_tcb, layout, verdict);
  check_minimum("tcb.minimum_launch", want.min_launch_tcb, report.launch_tcb, layout, verdict);
  if (want.min_committed_tcb) {
    check_minimum("tcb.minimum_committed", want.min_committed_tcb, report.committed_tcb, layout,
                  verdict);
  }
  if (want.min_current_tcb) {
    check_minimum("tcb.minimum_current", want.min_current_tcb, report.current_tcb, layout, verdict);
  }
  const auto at_least = [&](std::string_view name, std::uint64_t minimum, std::uint64_t value) {
    verdict.add(name, value >= minimum, fmt::format("at least {}", minimum), fmt::to_string(value),
                kExpectation);
  };
  at_least("report.minimum_version", want.min_report_version, report.version);
  at_least("guest_svn.minimum", want.min_guest_svn, report.guest_svn);
}

void check_firmware(const Report& report, const Expectations& want, tee::Verdict& verdict) {
  const FirmwareVersion& current = report.current_version;
  if (want.min_firmware) {
    const auto order = [](const FirmwareVersion& v) {
      return std::array<std::uint8_t, 3>{v.major, v.minor, v.build};
    };
    verdict.add("firmware.minimum", order(current) >= order(*want.min_firmware),
                "at least " + want.min_firmware->to_text(), current.to_text(), kExpectation);
  }
  // Firmware that is not committed can be rolled back under a running guest.
  const bool committed =
      current == report.committed_version && report.current_tcb == report.committed_tcb;
  const std::string_view found = committed ? "committed" : "provisional";
  if (want.allow_provisional_firmware) {
    verdict.add_waived("firmware.committed", found, "allow_provisional_firmware");
  } else {
    verdict.add("firmware.committed", committed, "committed", found,
                "SEV-SNP ABI 56860 section 3.3");
  }
  const auto mitigations = [&](std::string_view name, std::uint64_t required, std::uint64_t have) {
    if (required == 0) return;
    const bool ok = report.has_mitigations() && (have & required) == required;
    verdict.add(name, ok, fmt::format("bits {:#x}", required), fmt::format("{:#x}", have),
                kExpectation);
  };
  mitigations("mitigations.launch", want.required_launch_mitigations, report.launch_mit_vector);
  mitigations("mitigations.current", want.required_current_mitigations, report.current_mit_vector);
}

bool among(BytesView value, const std::vector<Bytes>& list) {
  bool found = false;
  for (const auto& item : list) found = equal_constant_time(value, item) || found;
  return found;
}

std::string list_text(const std::vector<Bytes>& list) {
  return list.size() == 1 ? to_hex(list.front()) : fmt::format("one of {}", list.size());
}

void check_value(std::string_view name, const std::optional<Bytes>& want, BytesView value,
                 tee::Verdict& verdict) {
  if (!want) return;
  verdict.add(name, equal_constant_time(value, *want), to_hex(*want), to_hex(value), kExpectation);
}

void check_one_of(std::string_view name, const std::vector<Bytes>& want, BytesView value,
                  tee::Verdict& verdict) {
  if (want.empty()) return;
  verdict.add(name, among(value, want), list_text(want), to_hex(value), kExpectation);
}

// The three that tie a report to a session, an image and a tenant: silence about them is a waiver.
void check_bindings(const Report& report, const Expectations& want, tee::Verdict& verdict) {
  const auto waive = [&](std::string_view name, bool absent, BytesView value) {
    if (absent) verdict.add_waived(name, to_hex(value), "no value to compare with");
  };
  waive("expect.report_data", !want.report_data, report.report_data);
  check_value("expect.report_data", want.report_data, report.report_data, verdict);
  waive("expect.measurement", want.measurements.empty(), report.measurement);
  check_one_of("expect.measurement", want.measurements, report.measurement, verdict);
  waive("expect.host_data", !want.host_data, report.host_data);
  check_value("expect.host_data", want.host_data, report.host_data, verdict);
  check_value("expect.family_id", want.family_id, report.family_id, verdict);
  check_value("expect.image_id", want.image_id, report.image_id, verdict);
  check_value("expect.report_id", want.report_id, report.report_id, verdict);
  check_value("expect.report_id_ma", want.report_id_ma, report.report_id_ma, verdict);
  check_one_of("expect.chip_id", want.chip_ids, report.chip_id, verdict);
}

void check_keys(const Report& report, const Endorsement& endorsement, const Expectations& want,
                tee::Verdict& verdict) {
  check_one_of("expect.id_key", want.id_key_digests, report.id_key_digest, verdict);
  if (!want.author_key_digests.empty()) {
    const bool enabled = report.key_info.author_key_en();
    verdict.add("expect.author_key",
                enabled && among(report.author_key_digest, want.author_key_digests),
                list_text(want.author_key_digests),
                enabled ? to_hex(report.author_key_digest) : "AUTHOR_KEY_EN is off", kExpectation);
  }
  if (!want.allow_vlek) {
    verdict.add("expect.vcek", endorsement.kind == LeafKind::kVcek, "VCEK",
                endorsement.kind == LeafKind::kVcek ? "VCEK" : "VLEK", kExpectation);
  }
  if (want.csp_id) {
    const std::string found = endorsement.extensions ? endorsement.extensions->csp_id : "";
    verdict.add_equal("expect.csp_id", *want.csp_id, found, kExpectation);
  }
}

}  // namespace

void check_expectations(const Report& report, const Endorsement& endorsement,
                        const Expectations& expectations, tee::Verdict& verdict) {
  const TcbLayout layout =
      endorsement.product ? tcb_layout(*endorsement.product) : report.likely_layout();
  check_policy(report, expectations, verdict);
  check_vmpl(report, endorsement, expectations, verdict);
  check_platform(report, expectations, verdict);
  check_versions(report, layout, expectations, verdict);
  check_firmware(report, expectations, verdict);
  check_bindings(report, expectations, verdict);
  check_keys(report, endorsement, expectations, verdict);
}

}  // namespace coffer::snp
