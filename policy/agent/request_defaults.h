// Requests written by hand leave most fields out; the agent never does. This fills them in.
#pragma once

#include <string_view>

#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::policy {

// `request` with every field of the message `kind` ("CreateContainerRequest") that it lacks, as the
// agent would encode it; nested messages are completed where they are given. A kind that is no
// message of the agent's API is returned as it is.
[[nodiscard]] Result<Value> complete_request(std::string_view kind, const Value& request);

}  // namespace coffer::policy
