// Which broker this guest attests to, and where its secrets are: aa.toml and cdh.toml together.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "guest-agent/attester/aa_config.h"
#include "guest-agent/attester/cdh_config.h"

namespace coffer::attester {

struct BrokerConfig {
  AaConfig aa;    // url and cert: cdh.toml's where aa.toml has no url
  CdhConfig cdh;  // url: empty when it is the same broker
};

// Each text may be missing.
[[nodiscard]] Result<BrokerConfig> parse_broker_config(std::optional<std::string_view> aa,
                                                       std::optional<std::string_view> cdh);

}  // namespace coffer::attester
