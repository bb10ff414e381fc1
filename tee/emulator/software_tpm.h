// A TPM that is a program: swtpm, for the dev class and for tests.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/subprocess.h"

namespace coffer::emulator {

inline constexpr const char* kSwtpm = "/usr/bin/swtpm";

// Runs, on two sockets in its folder, until it is destroyed.
class SoftwareTpm {
 public:
  // State in `folder`, which must be there; fresh when it is empty. kFailedPrecondition where swtpm
  // is not installed, kUnavailable when it does not come to listen.
  [[nodiscard]] static Result<std::unique_ptr<SoftwareTpm>> start(
      const std::filesystem::path& folder);
  SoftwareTpm(const SoftwareTpm&) = delete;
  SoftwareTpm& operator=(const SoftwareTpm&) = delete;
  // Leaves the state.
  ~SoftwareTpm();

  // For tpm::Tpm::open.
  [[nodiscard]] std::string tcti() const;

 private:
  SoftwareTpm(std::filesystem::path folder, Child child)
      : folder_(std::move(folder)), child_(std::move(child)) {}

  std::filesystem::path folder_;
  Child child_;
};

}  // namespace coffer::emulator
