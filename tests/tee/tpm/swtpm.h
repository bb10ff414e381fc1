// A TPM of our own, with fresh state, for one test.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "tee/emulator/software_tpm.h"
#include "tests/temp_dir.h"

namespace coffer::tpm {

using emulator::kSwtpm;

class Swtpm {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Swtpm>> start() {
    auto out = std::make_unique<Swtpm>();
    COFFER_TRY(out->tpm_, emulator::SoftwareTpm::start(out->state_.path()));
    return out;
  }
  // For Tpm::open.
  [[nodiscard]] std::string tcti() const { return tpm_->tcti(); }

 private:
  testing::TempDir state_;
  std::unique_ptr<emulator::SoftwareTpm> tpm_;
};

}  // namespace coffer::tpm
