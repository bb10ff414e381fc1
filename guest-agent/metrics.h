// GetMetrics: the agent's and the guest's figures as Prometheus text, under the names that Kata's
// dashboards know.
#pragma once

#include <cstdint>
#include <string>

namespace coffer::agent {

[[nodiscard]] std::string metrics_text(std::uint64_t scrapes);

}  // namespace coffer::agent
