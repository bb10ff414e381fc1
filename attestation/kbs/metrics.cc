#include "attestation/kbs/metrics.h"

#include <fmt/format.h>

namespace coffer::kbs {

void Metrics::count(std::string_view name, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  auto family = counters_.find(name);
  if (family == counters_.end()) {
    family = counters_.try_emplace(std::string(name)).first;
  }
  auto series = family->second.find(labels);
  if (series == family->second.end()) series = family->second.emplace(std::string(labels), 0).first;
  ++series->second;
}

void Metrics::observe_request(std::chrono::microseconds duration, std::size_t in, std::size_t out) {
  const double seconds = std::chrono::duration<double>(duration).count();
  const std::lock_guard lock(mutex_);
  ++requests_;
  seconds_ += seconds;
  bytes_in_ += in;
  bytes_out_ += out;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    if (seconds <= kBounds.at(i)) ++buckets_.at(i);
  }
}

std::string Metrics::text() const {
  std::string out =
      "# TYPE kbs_build_info gauge\nkbs_build_info{version=\"" COFFER_VERSION "\"} 1\n";
  const std::lock_guard lock(mutex_);
  out += "# TYPE kbs_http_request_duration_seconds histogram\n";
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    out += fmt::format("kbs_http_request_duration_seconds_bucket{{le=\"{}\"}} {}\n", kBounds.at(i),
                       buckets_.at(i));
  }
  out += fmt::format("kbs_http_request_duration_seconds_bucket{{le=\"+Inf\"}} {}\n", requests_);
  out += fmt::format("kbs_http_request_duration_seconds_sum {}\n", seconds_);
  out += fmt::format("kbs_http_request_duration_seconds_count {}\n", requests_);
  out += fmt::format(
      "# TYPE kbs_http_request_size_bytes summary\n"
      "kbs_http_request_size_bytes_sum {}\nkbs_http_request_size_bytes_count {}\n",
      bytes_in_, requests_);
  out += fmt::format(
      "# TYPE kbs_http_response_size_bytes summary\n"
      "kbs_http_response_size_bytes_sum {}\nkbs_http_response_size_bytes_count {}\n",
      bytes_out_, requests_);
  for (const auto& [name, series] : counters_) {
    out += fmt::format("# TYPE {} counter\n", name);
    for (const auto& [labels, value] : series) out += fmt::format("{}{} {}\n", name, labels, value);
  }
  return out;
}

}  // namespace coffer::kbs
