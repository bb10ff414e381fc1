// Counters in Prometheus's text form, by Trustee's names.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace coffer::kbs {

// Thread-safe.
class Metrics {
 public:
  // `labels`: `{tee_type="snp"}` or nothing. Values of labels are ours, never a peer's: their
  // number stays bounded.
  void count(std::string_view name, std::string_view labels = {});
  void observe_request(std::chrono::microseconds duration, std::size_t in, std::size_t out);
  [[nodiscard]] std::string text() const;

 private:
  static constexpr std::array<double, 8> kBounds = {0.001, 0.0025, 0.005, 0.01,
                                                    0.025, 0.1,    1,     10};  // seconds
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, std::uint64_t, std::less<>>, std::less<>> counters_;
  std::array<std::uint64_t, kBounds.size()> buckets_{};
  std::uint64_t requests_ = 0, bytes_in_ = 0, bytes_out_ = 0;
  double seconds_ = 0;
};

}  // namespace coffer::kbs
