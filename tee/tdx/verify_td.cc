#include <fmt/format.h>

#include "tee/tdx/verify_parts.h"

namespace coffer::tdx {
namespace {

constexpr std::string_view kAttributes =
    "Intel TDX Module 1.5 Base Architecture, 'TD attributes' (TDATTRIBUTES)";
constexpr std::string_view kXfam = "Intel TDX Module 1.5 Base Architecture, 'XFAM'";
constexpr std::string_view kServiceTd = "Intel TDX Module 1.5 TD Migration, 'Service TD binding'";

constexpr std::uint64_t bit(unsigned n) { return std::uint64_t{1} << n; }

constexpr std::uint64_t kDebug = bit(0);
constexpr std::uint64_t kTud = 0xff;  // TD under debug: any of these makes a TD untrusted
constexpr std::uint64_t kSeptVeDisable = bit(28);
constexpr std::uint64_t kMigratable = bit(29);
constexpr std::uint64_t kPks = bit(30);
constexpr std::uint64_t kKeyLocker = bit(31);
constexpr std::uint64_t kPerfmon = bit(63);
// 16 ICSSD, 27 LASS, 62 TPA change nothing that a relying party counts on.
constexpr std::uint64_t kKnownAttributes = kTud | bit(16) | bit(27) | kSeptVeDisable | kMigratable |
                                           kPks | kKeyLocker | bit(62) | kPerfmon;

constexpr std::uint64_t kXfamFixed1 = 0x3;  // x87 and SSE
constexpr std::uint64_t kXfamAllowed = 0x6dbe7;

std::uint64_t u64(const std::array<std::uint8_t, 8>& bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8U | bytes[i];
  return value;
}

// An attribute that must be clear unless its setting allows it.
void check_clear(std::string_view name, std::uint64_t attributes, std::uint64_t mask, bool allowed,
                 std::string_view setting, tee::Verdict& verdict) {
  const bool set = (attributes & mask) != 0;
  if (set && allowed) {
    verdict.add_waived(name, "set", setting);
  } else {
    verdict.add(name, !set, "clear", set ? "set" : "clear", kAttributes);
  }
}

void check_attributes(const TdBody& td, const Expectations& want, tee::Verdict& verdict) {
  const std::uint64_t attributes = u64(td.td_attributes);
  check_clear("td.debug", attributes, kDebug, want.allow_debug, "allow_debug", verdict);
  check_clear("td.tud", attributes, kTud & ~kDebug, false, "", verdict);
  check_clear("td.migratable", attributes, kMigratable, want.allow_migratable, "allow_migratable",
              verdict);
  check_clear("td.perfmon", attributes, kPerfmon, want.allow_perfmon, "allow_perfmon", verdict);
  check_clear("td.pks", attributes, kPks, want.allow_pks, "allow_pks", verdict);
  check_clear("td.key_locker", attributes, kKeyLocker, want.allow_key_locker, "allow_key_locker",
              verdict);
  const bool sept = (attributes & kSeptVeDisable) != 0;
  if (sept || want.require_sept_ve_disable) {
    verdict.add("td.sept_ve_disable", sept, "set", sept ? "set" : "clear", kAttributes);
  } else {
    verdict.add_waived("td.sept_ve_disable", "clear", "require_sept_ve_disable=false");
  }
  const std::uint64_t unknown = attributes & ~kKnownAttributes;
  verdict.add("td.reserved_attributes", unknown == 0, "0x0", fmt::format("{:#x}", unknown),
              kAttributes);
}

void check_xfam(const TdBody& td, tee::Verdict& verdict) {
  const std::uint64_t xfam = u64(td.xfam);
  verdict.add("td.xfam_fixed", (xfam & kXfamFixed1) == kXfamFixed1, "bits 0 and 1 set",
              fmt::format("{:#x}", xfam), kXfam);
  verdict.add("td.xfam_reserved", (xfam & ~kXfamAllowed) == 0,
              fmt::format("no bit outside {:#x}", kXfamAllowed), fmt::format("{:#x}", xfam), kXfam);
}

template <std::size_t N>
void check_value(std::string_view name, const std::optional<std::array<std::uint8_t, N>>& want,
                 const std::array<std::uint8_t, N>& found, tee::Verdict& verdict) {
  if (!want) return;
  verdict.add(name, equal_constant_time(*want, found), to_hex(*want), to_hex(found), kExpectation);
}

}  // namespace

void check_td(const TdBody& td, const Expectations& want, tee::Verdict& verdict) {
  check_attributes(td, want, verdict);
  check_xfam(td, verdict);
  if (td.mr_service_td) {
    verdict.add_equal("td.mr_service_td", to_hex(want.mr_service_td), to_hex(*td.mr_service_td),
                      kServiceTd);
  } else if (want.mr_service_td != Digest48{}) {
    verdict.add("td.mr_service_td", false, to_hex(want.mr_service_td), "a TD 1.0 body has none",
                kServiceTd);
  }
  check_value("expect.report_data", want.report_data, td.report_data, verdict);
  check_value("expect.mr_td", want.mr_td, td.mr_td, verdict);
  check_value("expect.mr_config_id", want.mr_config_id, td.mr_config_id, verdict);
  check_value("expect.mr_owner", want.mr_owner, td.mr_owner, verdict);
  check_value("expect.mr_owner_config", want.mr_owner_config, td.mr_owner_config, verdict);
  check_value("expect.mr_seam", want.mr_seam, td.mr_seam, verdict);
  for (std::size_t i = 0; i < td.rtmr.size(); ++i) {
    check_value(fmt::format("expect.rtmr_{}", i), want.rtmr[i], td.rtmr[i], verdict);
  }
}

}  // namespace coffer::tdx
