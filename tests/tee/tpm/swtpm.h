// A TPM of our own: swtpm on two ports of the loopback, with fresh state, killed at the end.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/subprocess.h"

namespace coffer::tpm {

inline constexpr const char* kSwtpm = "/usr/bin/swtpm";

class Swtpm {
 public:
  // kUnavailable when it does not start.
  [[nodiscard]] static Result<std::unique_ptr<Swtpm>> start();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;
  ~Swtpm();

  // For Tpm::open.
  [[nodiscard]] std::string tcti() const;

 private:
  Swtpm(std::filesystem::path state, unsigned port, Child child)
      : state_(std::move(state)), port_(port), child_(std::move(child)) {}

  std::filesystem::path state_;
  unsigned port_;
  Child child_;
};

}  // namespace coffer::tpm
