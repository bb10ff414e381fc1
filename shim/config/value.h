// A configuration value, whether it came from TOML or from an annotation's text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace coffer::shim {

// What a key holds. kTable is only ever a key Coffer does not support.
enum class Kind { kBool, kInteger, kFloat, kString, kStrings, kTable };
[[nodiscard]] std::string_view kind_name(Kind kind);

struct TableValue {
  bool operator==(const TableValue&) const = default;
};
using Value =
    std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, TableValue>;
[[nodiscard]] Kind kind_of(const Value& value);

// Reads an annotation's text as `kind`: "true", "12", "1.5", text, words separated by spaces or (as
// kernel_modules) by ';'. kInvalidArgument says got and want.
[[nodiscard]] Result<Value> value_from_text(Kind kind, std::string_view text);

// Empty, zero, false.
[[nodiscard]] bool is_inert(const Value& value);

}  // namespace coffer::shim
