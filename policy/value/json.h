// JSON text to Value and back. Own reader: one pass, no intermediate tree, bounded size and depth.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::policy {

struct JsonOptions {
  std::size_t max_bytes = std::size_t{64} << 20U;
  std::uint32_t max_depth = 512;
};

// RFC 8259. kInvalidArgument: "parse WHAT: line L column C: cause"; kResourceExhausted on a limit.
// Of keys that stand twice the last value counts, as with Go. Invalid UTF-8 and lone surrogates
// become U+FFFD, as with Go.
[[nodiscard]] Result<Value> parse_json(std::string_view text, std::string_view what,
                                       const JsonOptions& options = {});

// Compact, keys sorted, sets as sorted arrays, keys that are no strings as their JSON text.
// Escapes as Go's encoder without HTML escaping, unless `html` is set.
[[nodiscard]] std::string to_json(const Value& value, bool html = false);
// Indented by `indent` per level, each line after the first starting with `prefix`.
[[nodiscard]] std::string to_json_pretty(const Value& value, std::string_view indent = "  ",
                                         std::string_view prefix = "", bool html = false);
// Appends `text` quoted as JSON.
void append_json_string(std::string& out, std::string_view text, bool html = false);

// YAML 1.1 as OPA reads it (bare y/n are strings). Aliases are bounded.
[[nodiscard]] Result<Value> parse_yaml(std::string_view text, std::string_view what,
                                       const JsonOptions& options = {});

}  // namespace coffer::policy
