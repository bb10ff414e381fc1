// What a relying party wants of a TD. The defaults are the safe ones; each relaxation is a setting,
// and shows in the verdict as a waived check.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/tdx/collateral.h"
#include "tee/tdx/quote.h"
#include "tee/utc_time.h"

namespace coffer::tdx {

struct Expectations {
  // Values that must be equal; nothing: not compared.
  std::optional<std::array<std::uint8_t, 64>> report_data;
  std::optional<Digest48> mr_td, mr_config_id, mr_owner, mr_owner_config, mr_seam;
  std::array<std::optional<Digest48>, 4> rtmr;
  // MRSERVICETD. A TD without service TDs has zero here, which is what is wanted by default.
  Digest48 mr_service_td{};

  // TDATTRIBUTES and who may have them (Intel TDX Module 1.5 Base Architecture, table "TD
  // attributes"): each lets the host or the TD do what its measurement does not show.
  bool allow_debug = false;       // bit 0 DEBUG: the host reads and writes the TD
  bool allow_migratable = false;  // bit 29 MIGRATABLE: may leave for another platform
  bool allow_perfmon = false;     // bit 63 PERFMON: counters, a side channel
  bool allow_pks = false;         // bit 30 PKS
  bool allow_key_locker = false;  // bit 31 KL
  // bit 28 SEPT_VE_DISABLE. Linux refuses to boot without it by itself; TDs below a paravisor
  // (Azure) do not have it.
  bool require_sept_ve_disable = false;

  // TCB. Revoked and unsupported platforms are never accepted.
  std::vector<TcbStatus> accepted_statuses = {TcbStatus::kUpToDate};
  // Accept a level only so many days after its tcbDate; nothing: no limit. UpToDate has none.
  std::optional<std::uint32_t> max_tcb_age_days;
  // When given, any advisory outside the list refuses.
  std::optional<std::vector<std::string>> allowed_advisory_ids;
  // Documents older than that are a roll-back.
  std::uint32_t min_tcb_evaluation_data_number = 0;

  bool require_crl = true;  // false: absent lists are waived; those that are there still count
  // When given, only these platforms (PPID of the PCK certificate).
  std::optional<std::vector<std::array<std::uint8_t, 16>>> trusted_ppids;

  // Event logs of OVMF before 2024 have their ready-to-boot separator in RTMR0 a second time.
  bool allow_duplicate_separator = false;
};

// "UpToDate,OutOfDate" or "any", which stands for every status but Revoked. kInvalidArgument on an
// unknown name or on Revoked.
[[nodiscard]] Result<std::vector<TcbStatus>> parse_accepted_statuses(std::string_view list);

// Applies a JSON policy: {"expect_report_data": HEX, "expect_mrtd", "expect_mrconfigid",
// "expect_mrowner", "expect_mrownerconfig", "expect_mrseam", "expect_mrservicetd", "expect_rtmr0"
// to "expect_rtmr3", "allow_debug": BOOL, "allow_migratable", "allow_perfmon", "allow_pks",
// "allow_key_locker", "require_sept_ve_disable", "require_crl", "allow_duplicate_separator",
// "accept_tcb_status": LIST-OR-STRING, "max_tcb_age_days": N, "allowed_advisory_ids": LIST,
// "min_tcb_evaluation_data_number": N, "trusted_ppids": LIST}. kInvalidArgument, naming the key, on
// any other key or a value of the wrong form.
[[nodiscard]] Status apply_policy(std::string_view json, Expectations& expectations);

}  // namespace coffer::tdx
