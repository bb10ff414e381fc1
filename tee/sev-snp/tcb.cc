#include "tee/sev-snp/tcb.h"

#include <fmt/format.h>

namespace coffer::snp {

bool Tcb::at_least(const Tcb& minimum) const {
  return fmc.value_or(0) >= minimum.fmc.value_or(0) && boot_loader >= minimum.boot_loader &&
         tee >= minimum.tee && snp >= minimum.snp && microcode >= minimum.microcode;
}

std::string Tcb::to_text() const {
  const std::string front = fmc ? fmt::format("fmc {}, ", *fmc) : std::string();
  return fmt::format("{}boot loader {}, tee {}, snp {}, microcode {}", front, boot_loader, tee, snp,
                     microcode);
}

Tcb decode_tcb(const TcbBytes& bytes, TcbLayout layout) {
  if (layout == TcbLayout::kTurin) {
    return {.fmc = bytes[0],
            .boot_loader = bytes[1],
            .tee = bytes[2],
            .snp = bytes[3],
            .microcode = bytes[7]};
  }
  return {.fmc = std::nullopt,
          .boot_loader = bytes[0],
          .tee = bytes[1],
          .snp = bytes[6],
          .microcode = bytes[7]};
}

TcbBytes encode_tcb(const Tcb& tcb, TcbLayout layout) {
  if (layout == TcbLayout::kTurin) {
    return {tcb.fmc.value_or(0), tcb.boot_loader, tcb.tee, tcb.snp, 0, 0, 0, tcb.microcode};
  }
  return {tcb.boot_loader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode};
}

bool tcb_reserved_is_zero(const TcbBytes& bytes, TcbLayout layout) {
  return encode_tcb(decode_tcb(bytes, layout), layout) == bytes;
}

}  // namespace coffer::snp
