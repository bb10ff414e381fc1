// What a relying party demands of a report beyond its being authentic. Nothing here is in the
// launch measurement: a host can run the very same image with debugging on, so the defaults are
// strict.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/sev-snp/report.h"

namespace coffer::snp {

// A minimum per TCB part; parts left out are not looked at.
struct MinimumTcb {
  std::optional<std::uint8_t> fmc = std::nullopt, boot_loader = std::nullopt, tee = std::nullopt,
                              snp = std::nullopt, microcode = std::nullopt;
  [[nodiscard]] std::string to_text() const;
};

struct Expectations {
  // Bound values. Absent means: not compared, and the verdict says so.
  std::optional<Bytes> report_data = std::nullopt;  // 64 octets
  std::vector<Bytes> measurements = {};             // 48 octets each, any of them
  std::optional<Bytes> host_data = std::nullopt;    // 32 octets
  std::optional<Bytes> family_id = std::nullopt, image_id = std::nullopt;  // 16 octets
  std::optional<Bytes> report_id = std::nullopt;                           // 32 octets
  std::optional<Bytes> report_id_ma = std::nullopt;                        // 32 octets
  std::vector<Bytes> chip_ids = {};            // 64 octets each, any of them
  std::vector<Bytes> id_key_digests = {};      // 48 octets each, any of them
  std::vector<Bytes> author_key_digests = {};  // 48 octets each, any; AUTHOR_KEY_EN must be set

  // Absent: 0, or for a VLEK 0 or 1, since providers that hold VLEKs run tenants at VMPL 1 below
  // their own measured firmware.
  std::optional<std::uint32_t> vmpl = std::nullopt;

  bool allow_debug = false;
  bool allow_migrate_ma = false;
  bool allow_smt = true;
  bool allow_cxl = true;
  bool allow_vlek = true;
  bool allow_masked_chip_id = false;
  bool allow_provisional_firmware = true;
  bool require_crl = false;
  bool require_alias_check = false;
  bool require_tsme = false;
  bool require_ecc = false;
  bool require_rapl_disabled = false;
  bool require_ciphertext_hiding = false;
  bool require_single_socket = false;
  bool require_aes_256_xts = false;
  bool require_page_swap_disabled = false;
  std::optional<std::string> csp_id = std::nullopt;  // VLEK's provider

  std::uint32_t min_report_version = 0;
  std::uint32_t min_guest_svn = 0;
  std::optional<MinimumTcb> min_tcb = std::nullopt;  // REPORTED_TCB
  std::optional<MinimumTcb> min_launch_tcb = std::nullopt, min_committed_tcb = std::nullopt,
                            min_current_tcb = std::nullopt;
  std::optional<FirmwareVersion> min_firmware = std::nullopt;  // CURRENT version
  // Bits that must be set in LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR.
  std::uint64_t required_launch_mitigations = 0, required_current_mitigations = 0;
  std::optional<std::uint64_t> policy = std::nullopt;  // GUEST_POLICY, exactly
};

// From the JSON object of `--policy`: require_vmpl, min_tcb, trusted_id_key_digests, require_crl
// and the rest, on top of `base`. kInvalidArgument names an unknown key or a value of a wrong type.
[[nodiscard]] Result<Expectations> parse_expectations(const nlohmann::json& object,
                                                      Expectations base = {});
// Every key that parse_expectations knows, for help texts.
[[nodiscard]] std::vector<std::string> expectation_keys();

// "bl=4,tee=0,snp=24,ucode=219" or a JSON object of the same names; also fmc.
[[nodiscard]] Result<MinimumTcb> parse_minimum_tcb(std::string_view text);
// Hex of at most `size` octets; shorter is padded with zeros on the right when `pad`, else refused.
[[nodiscard]] Result<Bytes> parse_octets(std::string_view hex, std::size_t size, bool pad,
                                         std::string_view name);

}  // namespace coffer::snp
