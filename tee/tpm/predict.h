// PCRs of a machine that QEMU boots directly: OVMF, kernel, initrd, command line.
//
// What depends on nothing but those is computed (PCR 2 to 6 and 9); what depends on the firmware
// and the machine (0, 1, 7) is taken from a recorded log of such a machine.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/eventlog/event_log.h"
#include "tee/tpm/verify.h"

namespace coffer::tpm {

struct DirectBoot {
  BytesView kernel;
  std::optional<BytesView> initrd;
  std::string command_line;
  // Memory of a plain VM, whose QEMU writes into the kernel's header (eventlog/qemu_kernel.h).
  // Nothing: the kernel is booted as it is, as SEV-SNP and TDX guests are.
  std::optional<std::uint64_t> patched_for_memory;
};

// With `reference`, a log of the same firmware and machine with whatever kernel: PCRs 0, 1 and 7
// are its replay. Without: they are absent.
[[nodiscard]] Result<PcrValues> predict_pcrs(const DirectBoot& boot, eventlog::Alg bank,
                                             const eventlog::EventLog* reference);

// Expects this boot: its PCRs as predicted in the expectations' bank, and its events.
[[nodiscard]] Status expect_boot(const DirectBoot& boot, const eventlog::EventLog* reference,
                                 Expectations& expectations);

}  // namespace coffer::tpm
