// YAML documents as values, and values as YAML.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "policy/value/json.h"
#include "policy/value/value.h"

namespace coffer::policy {

// One document, block style, keys sorted. Sets are written as sequences.
[[nodiscard]] std::string to_yaml(const Value& value);

}  // namespace coffer::policy
