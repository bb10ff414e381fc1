// Requests written by hand leave most fields out; the agent never does. This fills them in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::policy {

// `request` with every field of the message `kind` ("CreateContainerRequest") that it lacks, as the
// agent would encode it; nested messages are completed where they are given. A kind that is no
// message of the agent's API is returned as it is.
//
// Keys that are no field stay, or are left out, as Kata's reader of requests does, when `unknown`
// is given: it then gets their paths ("interface.pciPath").
[[nodiscard]] Result<Value> complete_request(std::string_view kind, const Value& request,
                                             std::vector<std::string>* unknown = nullptr);

}  // namespace coffer::policy
