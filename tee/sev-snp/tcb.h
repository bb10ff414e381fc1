// TCB_VERSION: the security version numbers of a platform's firmware parts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "tee/sev-snp/product.h"

namespace coffer::snp {

using TcbBytes = std::array<std::uint8_t, 8>;

// SEV-SNP ABI 56860 rev 1.58, section 2.2 "TCB_VERSION".
struct Tcb {
  std::optional<std::uint8_t> fmc;  // FMC: Turin and later only
  std::uint8_t boot_loader = 0;     // BOOT_LOADER
  std::uint8_t tee = 0;             // TEE
  std::uint8_t snp = 0;             // SNP
  std::uint8_t microcode = 0;       // MICROCODE

  [[nodiscard]] bool operator==(const Tcb&) const = default;
  // Every part is at least the other's: the only order that means anything. An absent FMC counts
  // as 0.
  [[nodiscard]] bool at_least(const Tcb& minimum) const;
  // "fmc 1, boot loader 4, tee 0, snp 24, microcode 219".
  [[nodiscard]] std::string to_text() const;
};

[[nodiscard]] Tcb decode_tcb(const TcbBytes& bytes, TcbLayout layout);
[[nodiscard]] TcbBytes encode_tcb(const Tcb& tcb, TcbLayout layout);
// The octets that the layout reserves are zero.
[[nodiscard]] bool tcb_reserved_is_zero(const TcbBytes& bytes, TcbLayout layout);

}  // namespace coffer::snp
