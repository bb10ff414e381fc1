// The SGX extension of a PCK certificate: which platform it is, and at which TCB its key stands.
//
// Format: Intel SGX PCK Certificate and CRL Profile Specification, rev. 1.5, section 1.3.5; object
// identifiers below 1.2.840.113741.1.13.1.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace coffer::tdx {

inline constexpr std::string_view kSgxExtensionOid = "1.2.840.113741.1.13.1";

struct PckExtension {
  std::array<std::uint8_t, 16> ppid{};        // .1 PPID
  std::array<std::uint8_t, 16> components{};  // .2.1 to .2.16 SGX TCB component SVNs
  std::uint16_t pce_svn = 0;                  // .2.17 PCESVN
  std::array<std::uint8_t, 16> cpu_svn{};     // .2.18 CPUSVN
  std::array<std::uint8_t, 2> pce_id{};       // .3 PCEID
  std::array<std::uint8_t, 6> fmspc{};        // .4 FMSPC
  std::uint8_t sgx_type = 0;  // .5: 0 standard, 1 scalable, 2 scalable with integrity
  // Platform CA only.
  std::optional<std::array<std::uint8_t, 16>> platform_instance_id;  // .6
  struct Configuration {                                             // .7
    std::optional<bool> dynamic_platform, cached_keys, smt_enabled;
  };
  std::optional<Configuration> configuration;
};

// `value` is the content of the extension's extnValue. Members may stand in any order, each once;
// kInvalidArgument, naming the member, when one is missing, doubled, unknown, of the wrong size or
// out of range.
[[nodiscard]] Result<PckExtension> parse_pck_extension(BytesView value);

}  // namespace coffer::tdx
