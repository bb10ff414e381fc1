// The options of `measure tpm` and `evidence verify --tee tpm` that name a directly booted VM.
#pragma once

#include <optional>
#include <string>

#include "cli/command.h"
#include "tee/tpm/predict.h"

namespace coffer::cli {

struct BootFlags {
  std::string kernel, initrd, append, memory, reference;
};

void declare_boot(Options& options, BootFlags& flags);

// Holds what a tpm::DirectBoot points into.
class BootFiles {
 public:
  // kInvalidArgument without --kernel.
  [[nodiscard]] static Result<BootFiles> read(const BootFlags& flags);

  [[nodiscard]] tpm::DirectBoot boot() const;
  // Of --reference-log; null without it. Lives as long as this.
  [[nodiscard]] const eventlog::EventLog* reference() const { return log_ ? &*log_ : nullptr; }

 private:
  // Vectors keep their place when this is moved.
  Bytes kernel_, reference_;
  std::optional<Bytes> initrd_;
  std::string command_line_;
  std::optional<std::uint64_t> memory_;
  std::optional<eventlog::EventLog> log_;
};

}  // namespace coffer::cli
